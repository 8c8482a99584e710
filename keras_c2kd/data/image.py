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
            while both sides stay this long; that saves most of its inverse DCT. 0: its
            full size.

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
    size = image_size(contents)
    pixels = tf.reduce_prod(tf.cast(size, tf.int64))
    # Not a GIF or a BMP, which decode_png would take too; its header is another.
    # Padded, since substr fails on shorter bytes without saying why.
    start = tf.strings.substr(tf.strings.join([contents, "\0" * 8]), 0, 8)
    is_png = tf.equal(start, PNG_SIGNATURE)
    known = tf.io.is_jpeg(contents) | is_png
    check = tf.debugging.Assert(known & (pixels > 0) & (pixels <= MOST_PIXELS), [size])
    # A check without a result runs in a graph only when something waits for it.
    with tf.control_dependencies([check] if check is not None else []):
        image = tf.cond(
            tf.io.is_jpeg(contents),
            lambda: _decode_jpeg(contents, size, at_least),
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

    def of_png():
        # Padded, since substr fails on shorter bytes without saying why.
        header = tf.strings.join([contents, tf.constant(b"\0" * 24)])
        numbers = tf.strings.substr(header, 16, 8)
        width_height = tf.io.decode_raw(numbers, tf.int32, little_endian=False)
        return tf.reverse(tf.reshape(width_height, (2,)), axis=[0])

    return tf.cond(
        tf.io.is_jpeg(contents),
        lambda: tf.io.extract_jpeg_shape(contents)[:2],
        of_png,
    )


def _decode_jpeg(contents, size, at_least):
    def decode(ratio):
        return tf.io.decode_jpeg(
            contents, channels=3, ratio=ratio, try_recover_truncated=False
        )

    if not at_least:
        return decode(1)
    ratios = (1, 2, 4, 8)
    times = tf.reduce_min(size) // at_least
    fits = tf.reduce_sum([tf.cast(times >= ratio, tf.int32) for ratio in ratios[1:]])
    return tf.switch_case(fits, [lambda r=ratio: decode(r) for ratio in ratios])


def _decode_png(contents):
    pixels = tf.cast(tf.io.decode_png(contents, channels=4), tf.int32)
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    # Where there is no alpha, TensorFlow fills in the largest number of the file's
    # bits, which for 1, 2 and 4 of them is not 255.
    bits = tf.io.decode_raw(tf.strings.substr(contents, 24, 1), tf.uint8)[0]
    filler = tf.bitwise.left_shift(1, tf.minimum(tf.cast(bits, tf.int32), 8)) - 1
    alpha = tf.where(tf.reduce_all(alpha == filler), 255, alpha)
    on_white = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return tf.cast(on_white, tf.uint8)


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
        return f"a PNG, {bits}-bit {colour}, {width}x{height}, {size}"
    if contents.startswith(b"\xff\xd8"):
        whole = contents.endswith(b"\xff\xd9")
        return f"a JPEG, {size}, {'complete' if whole else 'cut short'}"
    return f"{size} beginning with {contents[:8]!r}"
