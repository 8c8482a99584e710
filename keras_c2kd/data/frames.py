"""Frames of a clip as a modality: one image, or a few in the order of time."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_c2kd.data.geometry import crop
from keras_c2kd.data.image import decode_rgb, resize_rgb
from keras_c2kd.data.modality import Draws, Modality


@dataclasses.dataclass(frozen=True)
class Frames(Modality):
    """Frames in JPEG files, as 0..255 for a model that scales them itself.

    The source of a sample is its frames' paths, `(frames,)`. All frames of a clip get
    the same crop, so that what stands still goes on standing still.

    Attributes:
        size: side of the model's input, in pixels.
        frames: how many there are; one is an image, without an axis of time.
        stored_size: side of what is kept of a file; 0: `size`. Larger ones leave
            crops more detail.

    Example:

    >>> Frames(size=64).input_shape, Frames(size=64, frames=3).input_shape
    ((64, 64, 3), (3, 64, 64, 3))
    """

    size: int
    frames: int = 1
    stored_size: int = 0
    expected: ClassVar[str] = "a complete colour image"

    @property
    def kind(self):
        return "image" if self.frames == 1 else "frames"

    @property
    def spec(self):
        return tf.TensorSpec(self._shape(self.stored_size or self.size), tf.uint8)

    @property
    def input_shape(self):
        return self._shape(self.size)

    def _shape(self, side):
        image = (side, side, 3)
        return image if self.frames == 1 else (self.frames, *image)

    def decode(self, source):
        """The frames from their paths, each uint8 `(height, width, 3)`."""
        # A static number of frames: sizes may differ, and a graph needs no loop.
        paths = tf.unstack(tf.reshape(source, (self.frames,)))
        return [decode_rgb(tf.io.read_file(path)) for path in paths]

    def pack(self, decoded):
        side = self.stored_size or self.size
        packed = [resize_rgb(frame, side) for frame in decoded]
        return packed[0] if self.frames == 1 else tf.stack(packed)

    def prepare(self, packed, draws: Draws | None = None):
        """float32 `(B, size, size, 3)` or `(B, frames, size, size, 3)`, 0..255."""
        boxes = None if draws is None else draws.boxes
        size = (self.size, self.size)
        if self.frames == 1:
            return crop(packed, boxes, size, "bilinear")
        batch = packed.shape[0]
        flat = tf.reshape(packed, (-1, *packed.shape[2:]))
        if boxes is not None:
            boxes = tf.repeat(boxes, self.frames, axis=0)
        cropped = tf.reshape(
            crop(flat, boxes, size, "bilinear"), (-1, *self.input_shape)
        )
        return tf.ensure_shape(cropped, (batch, *self.input_shape))

    def where(self, source):
        """The first frame that cannot be read, else the first."""
        paths = [str(path) for path in np.atleast_1d(np.asarray(source))]
        return next((path for path in paths if not _is_readable(path)), paths[0])


def _is_readable(path: str) -> bool:
    try:
        decode_rgb(tf.io.read_file(path))
    except (tf.errors.OpError, ValueError):
        return False
    return True
