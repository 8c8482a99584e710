"""Colour images: decoding, resizing, and saying in words what a file holds."""

import struct

import tensorflow as tf

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS = {0: "greyscale", 2: "RGB", 3: "palette", 4: "grey+alpha", 6: "RGBA"}


def decode_rgb(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a colour JPEG, and nothing but a complete colour JPEG.

    A greyscale file is refused rather than copied into three channels: in a
    dataset of colour images it is a sign of a wrong folder. A truncated file is
    an error too, never an image whose lower part is grey.

    Args:
        contents: scalar string, the bytes of the file.

    Returns:
        uint8 `(height, width, 3)`.

    Raises:
        tf.errors.InvalidArgumentError: when the bytes are something else.

    Example:

    >>> pixels = tf.zeros((4, 6, 3), tf.uint8)
    >>> decode_rgb(tf.io.encode_jpeg(pixels)).shape
    TensorShape([4, 6, 3])
    """
    # decode_jpeg would also take a PNG or a GIF.
    check = tf.debugging.assert_equal(tf.io.is_jpeg(contents), True)
    # A check without a result runs in a graph only when something waits for it.
    with tf.control_dependencies([check] if check is not None else []):
        # channels=0 keeps what the file holds; channels=3 would colour a grey one.
        image = tf.io.decode_jpeg(contents, channels=0, try_recover_truncated=False)
    return tf.ensure_shape(image, (None, None, 3))


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
