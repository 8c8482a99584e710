"""Colour images: decoding, resizing, and saying in words what a file holds."""

import struct

import tensorflow as tf

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
MOST_PIXELS = 100_000_000
_PNG_COLOURS = {0: "greyscale", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}


def decode_rgb(contents: tf.Tensor, at_least: int = 0) -> tf.Tensor:
    """Decodes a JPEG or a PNG to colours, whatever the file is called.

    Greyscale becomes three equal channels, CMYK and palettes become RGB, and what is
    transparent is laid on white. A truncated file is an error, never an image whose
    lower part is grey.

    Args:
        contents: scalar string, the bytes of the file.
        at_least: a JPEG may be decoded at a half, a quarter or an eighth of its size
            while both sides stay this long, which is a little cheaper. 0: its full
            size.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: when the bytes are something else, or when the
            header claims more than 100 million pixels.

    Example:

    >>> pixels = tf.zeros((4, 6, 3), tf.uint8)
    >>> decode_rgb(tf.io.encode_jpeg(pixels)).shape
    TensorShape([4, 6, 3])
    """
    image = tf.cond(
        tf.io.is_jpeg(contents),
        lambda: _decode_jpeg(contents, at_least),
        lambda: _decode_png(contents),
    )
    return tf.ensure_shape(image, (None, None, 3))


def image_size(contents: tf.Tensor) -> tf.Tensor:
    """What the header of a JPEG or a PNG says; nothing is decoded.

    Args:
        contents: scalar string, the bytes of the file.

    Returns:
        int32 `(2,)`, height and width.
    """

    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.extract_jpeg_shape(contents)[:2],
        lambda: png_header(contents)[1],
    )


def png_header(contents: tf.Tensor) -> tuple[tf.Tensor, ...]:
    """What the first bytes of a PNG say, were it one.

    Args:
        contents: scalar string, the bytes of the file; they may be fewer.

    Returns:
        Whether it begins as a PNG does, a scalar bool; int32 `(2,)`, height and width;
        the bits of a channel and the type of colour, scalars of uint8.
    """
    # Padded, since substr fails on shorter bytes without saying why.
    start = tf.strings.join([tf.strings.substr(contents, 0, 26), "\0" * 26])
    numbers = tf.strings.substr(start, 16, 8)
    width_height = tf.io.decode_raw(numbers, tf.int32, little_endian=False)
    kind = tf.io.decode_raw(tf.strings.substr(start, 24, 2), tf.uint8)
    size = tf.reverse(tf.reshape(width_height, (2,)), axis=[0])
    is_png = tf.equal(tf.strings.substr(start, 0, 8), PNG_SIGNATURE)
    return is_png, size, kind[0], kind[1]


def check_size(size: tf.Tensor, known: tf.Tensor | bool = True):
    """To be waited for, so that nothing is allocated for a header that lies.

    Args:
        size: int32 `(2,)`, height and width that a header claims.
        known: whether the file is what is about to be decoded.

    Returns:
        A context manager: what is in it fails for other files, for no pixels, and for
        more than 100 million.
    """
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    check = tf.debugging.Assert(
        known & (tf.reduce_min(size) > 0) & (pixels <= MOST_PIXELS), [size]
    )
    # Eagerly, it has been checked by now.
    return tf.control_dependencies([] if check is None else [check])


def _decode_jpeg(contents, at_least):
    def decode(ratio):
        return tf.io.decode_jpeg(
            contents, channels=3, ratio=ratio, try_recover_truncated=False
        )

    size = tf.io.extract_jpeg_shape(contents)[:2]
    with check_size(size):
        if not at_least:
            return decode(1)
        ratios = (1, 2, 4, 8)
        times = tf.reduce_min(size) // at_least
        fits = tf.reduce_sum([tf.cast(times >= ratio, tf.int32) for ratio in (2, 4, 8)])
        return tf.switch_case(fits, [lambda r=ratio: decode(r) for ratio in ratios])


def _decode_png(contents):
    is_png, size, bits, _ = png_header(contents)
    # decode_png would take a GIF or a BMP too, whose headers are others.
    with check_size(size, known=is_png):
        pixels = tf.io.decode_png(contents, channels=4)
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    # Where there is no alpha, TensorFlow fills in the largest number of the file's
    # bits, which for 1, 2 and 4 of them is not 255.
    filler = tf.bitwise.left_shift(1, tf.minimum(tf.cast(bits, tf.int32), 8)) - 1
    return tf.cond(
        tf.reduce_all(alpha == tf.cast(filler, tf.uint8)),
        lambda: colour,
        lambda: _on_white(colour, alpha),
    )


def _on_white(colour, alpha):
    colour, alpha = (tf.cast(values, tf.uint16) for values in (colour, alpha))
    total = colour * alpha + 255 * (255 - alpha) + 128  # of 16 bits: at most 65,153
    eight = tf.constant(8, tf.uint16)
    # total / 255, rounded, without a division.
    carried = total + tf.bitwise.right_shift(total, eight)
    return tf.cast(tf.bitwise.right_shift(carried, eight), tf.uint8)


def resize_rgb(image: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes to a square; a smaller one averages areas, so thin edges survive.

    Args:
        image: uint8 `(height, width, 3)`.
        size: side of the result in pixels.

    Returns:
        uint8 `(size, size, 3)`.
    """
    resized = tf.cond(
        tf.reduce_all(tf.shape(image)[:2] >= size),
        # A third of the time that an antialiased bilinear filter takes.
        lambda: tf.image.resize(image, (size, size), method="area"),
        lambda: tf.image.resize(image, (size, size), antialias=True),
    )
    return tf.cast(tf.clip_by_value(resized, 0.0, 255.0) + 0.5, tf.uint8)


def describe_image(contents: bytes) -> str:
    """Says what a file's bytes are, for the end of an error message.

    Args:
        contents: the bytes of the file.

    Returns:
        For example `"a PNG, 8-bit greyscale, 561x427, 9120 bytes"`.

    Example:

    >>> describe_image(b"not an image")
    "12 bytes beginning with b'not an i'"
    """
    size = f"{len(contents)} bytes"
    if contents.startswith(PNG_SIGNATURE) and len(contents) > 25:
        width, height, bits, colour = struct.unpack(">IIBB", contents[16:26])
        colour = _PNG_COLOURS.get(colour, "unknown colour type")
        large = ", more than 100 million pixels" * (width * height > MOST_PIXELS)
        return f"a PNG, {bits}-bit {colour}, {width}x{height}{large}, {size}"
    if contents.startswith(b"\xff\xd8"):
        whole = contents.endswith(b"\xff\xd9")
        return f"a JPEG, {size}, {'complete' if whole else 'cut short'}"
    return f"{size} beginning with {contents[:8]!r}"
