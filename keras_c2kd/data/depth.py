"""SUN RGB-D depth: 16-bit PNGs whose bits are rotated left by three."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_c2kd.data.geometry import crop
from keras_c2kd.data.image import check_size, png_header
from keras_c2kd.data.modality import Draws, Modality

MAX_MILLIMETRES = 8000  # the toolbox of the dataset clips there
_GREY = 0  # the type of colour in a PNG header


def decode_depth_png(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a 16-bit greyscale PNG, bits as they are.

    An 8-bit PNG is refused: TensorFlow would widen it without a word, and the
    distances would be noise.

    Args:
        contents: scalar string, the bytes of the file.

    Returns:
        uint16 `(height, width, 1)`.

    Raises:
        tf.errors.InvalidArgumentError: when it is no 16-bit greyscale PNG, or when the
            header claims more than 100 million pixels.
    """
    is_png, size, bits, colour = png_header(contents)
    with check_size(size, known=is_png & (bits == 16) & (colour == _GREY)):
        return tf.io.decode_png(contents, channels=1, dtype=tf.uint16)


def to_millimetres(rotated: tf.Tensor) -> tf.Tensor:
    """Undoes the rotation: `(d >> 3) | (d << 13)` on 16 bits, clipped at 8 m.

    Args:
        rotated: uint16 of any shape.

    Returns:
        uint16 of that shape, 0..8000; 0 means no reading.
    """
    shift = tf.bitwise.right_shift(rotated, tf.constant(3, tf.uint16))
    wrapped = tf.bitwise.left_shift(rotated, tf.constant(13, tf.uint16))
    millimetres = tf.bitwise.bitwise_or(shift, wrapped)
    return tf.minimum(millimetres, tf.constant(MAX_MILLIMETRES, tf.uint16))


def decode_sun_depth(contents: tf.Tensor) -> tf.Tensor:
    """Decodes a depth PNG to metres; usable eagerly and inside a `tf.data` map.

    `metres = ((d >> 3) | (d << 13)) / 1000` on 16 bits, clipped at 8 m.

    Args:
        contents: scalar string, the bytes of the file.

    Returns:
        float32 `(height, width, 1)` in metres, 0..8; 0 means no reading.

    Raises:
        tf.errors.InvalidArgumentError: when it is no 16-bit greyscale PNG, or when the
            header claims more than 100 million pixels.

    Example:

    >>> png = encode_sun_depth(np.array([[1500, 0]], "uint16"))
    >>> decode_sun_depth(png).numpy().ravel().tolist()
    [1.5, 0.0]
    """
    return tf.cast(to_millimetres(decode_depth_png(contents)), tf.float32) / 1000.0


def encode_sun_depth(millimetres: np.ndarray) -> bytes:
    """Writes what `decode_sun_depth` reads; the miniature is made with it.

    Args:
        millimetres: uint16 `(height, width)`.

    Returns:
        The bytes of a 16-bit PNG.
    """
    millimetres = np.asarray(millimetres, np.uint16)
    rotated = (millimetres << 3) | (millimetres >> 13)
    return tf.io.encode_png(rotated[..., None]).numpy()


def resize_depth(depth: tf.Tensor, size: int) -> tf.Tensor:
    """Resizes to a square by nearest neighbour: a hole never mixes with a reading.

    Args:
        depth: `(height, width, 1)`.
        size: side of the result in pixels.

    Returns:
        `(size, size, 1)` of the same dtype.
    """
    return tf.image.resize(depth, (size, size), method="nearest")


@dataclasses.dataclass(frozen=True)
class Depth(Modality):
    """Depth PNGs of SUN RGB-D, as metres for a model.

    Attributes:
        size: side of the model's input, in pixels.
        stored_size: side of what is kept of a file; 0: `size`. Larger ones leave
            crops more detail.

    Example:

    >>> Depth(size=64).input_shape
    (64, 64, 1)
    """

    size: int
    stored_size: int = 0
    expected: ClassVar[str] = "a complete 16-bit greyscale PNG"
    spatial: ClassVar[bool] = True

    @property
    def spec(self):
        side = self.stored_size or self.size
        return tf.TensorSpec((side, side, 1), tf.uint16)

    @property
    def input_shape(self):
        return (self.size, self.size, 1)

    def decode(self, source):
        """uint16 `(height, width, 1)` from the path of a file, bits still rotated."""
        return decode_depth_png(tf.io.read_file(source))

    def pack(self, decoded):
        """uint16 millimetres; fewer pixels first, since each of them is turned."""
        return to_millimetres(resize_depth(decoded, self.stored_size or self.size))

    def prepare(self, packed, draws: Draws | None = None):
        """float32 metres `(B, size, size, 1)`; holes stay 0."""
        boxes = None if draws is None else draws.boxes
        return crop(packed, boxes, (self.size, self.size), "nearest") / 1000.0
