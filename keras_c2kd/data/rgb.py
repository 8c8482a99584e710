"""Colour images as a modality."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import tensorflow as tf

from keras_c2kd.data.geometry import crop
from keras_c2kd.data.image import decode_rgb, image_size, resize_rgb
from keras_c2kd.data.modality import Draws, Modality

_BRIGHTNESS = 24.0  # of 255
_CONTRAST = 0.2


@dataclasses.dataclass(frozen=True)
class Rgb(Modality):
    """Colour images in files, as 0..255 for a model that scales them itself.

    Attributes:
        size: side of the model's input, in pixels.
        stored_size: side of what is kept of a file; 0: `size`. Larger ones leave
            crops more detail.
        jitter: change contrast and brightness in training.

    Example:

    >>> Rgb(size=64).input_shape
    (64, 64, 3)
    """

    size: int
    stored_size: int = 0
    jitter: bool = True
    expected: ClassVar[str] = "a complete colour image"
    spatial: ClassVar[bool] = True

    @property
    def spec(self):
        side = self.stored_size or self.size
        return tf.TensorSpec((side, side, 3), tf.uint8)

    @property
    def input_shape(self):
        return (self.size, self.size, 3)

    def decode(self, source):
        """uint8 `(height, width, 3)` from a path, and what it says its size is.

        Of a large JPEG the pixels are those of a fraction of that size.
        """
        contents = tf.io.read_file(source)
        side = self.stored_size or self.size
        return decode_rgb(contents, at_least=side), image_size(contents)

    def size_of(self, decoded):
        return decoded[1]

    def pack(self, decoded):
        return resize_rgb(decoded[0], self.stored_size or self.size)

    def prepare(self, packed, draws: Draws | None = None):
        """float32 `(B, size, size, 3)`, 0..255."""
        if draws is None:
            return crop(packed, None, (self.size, self.size), "bilinear")
        images = crop(packed, draws.boxes, (self.size, self.size), "bilinear")
        return jitter_colours(images, draws.seed) if self.jitter else images


def jitter_colours(rgb: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes contrast and brightness, differently for each image.

    Args:
        rgb: float32 `(B, S, S, 3)` in 0..255.
        seed: two integers.

    Returns:
        float32 `(B, S, S, 3)` in 0..255.
    """
    draws = tf.random.stateless_uniform((tf.shape(rgb)[0], 2, 1, 1, 1), seed, -1.0, 1.0)
    contrast, brightness = 1.0 + _CONTRAST * draws[:, 0], _BRIGHTNESS * draws[:, 1]
    mean = tf.reduce_mean(rgb, axis=(1, 2, 3), keepdims=True)
    # One pass over the pixels: rgb * contrast + what does not depend on the pixel.
    return tf.clip_by_value(
        rgb * contrast + (mean * (1.0 - contrast) + brightness), 0.0, 255.0
    )
