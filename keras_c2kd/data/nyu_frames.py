"""Colour, depth and labels of NYU Depth V2 as modalities."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_c2kd.data.geometry import crop
from keras_c2kd.data.hdf5 import read_frame
from keras_c2kd.data.modality import Draws, Modality
from keras_c2kd.data.rgb import jitter_colours

VOID = 255  # the label of pixels without a class
_MOST_MILLIMETRES = 65535


@dataclasses.dataclass(frozen=True)
class _Frames(Modality):
    """One dataset of the labeled file; MATLAB's axes are reversed, width first."""

    height: int
    width: int
    dataset: ClassVar[str]
    expected: ClassVar[str] = "a frame of NYU Depth V2"
    spatial: ClassVar[bool] = True
    in_graph: ClassVar[bool] = False

    @property
    def size(self) -> tuple[int, int]:
        return self.height, self.width

    def decode(self, source):
        frame = read_frame(str(source["path"]), self.dataset, int(source["index"]))
        return np.ascontiguousarray(frame.T.reshape(*frame.shape[:-3:-1], -1))

    def _unfit(self, source, received):
        return ValueError(
            f"Received: frame {int(source['index']) + 1} of {self.dataset}, {received}"
        )

    def pack(self, decoded):
        """By nearest neighbour: neither holes nor classes mix with what is beside."""
        if decoded.shape[:2] == self.size:
            return decoded
        return tf.image.resize(decoded, self.size, method="nearest")

    def describe(self, source):
        return f"a file of {Path(self.where(source)).stat().st_size} bytes"


@dataclasses.dataclass(frozen=True)
class NyuRgb(_Frames):
    """Colour frames, as 0..255 for a model that scales them itself.

    Attributes:
        height: of the model's input, in pixels; a frame has 480.
        width: of the model's input, in pixels; a frame has 640.
        jitter: change contrast and brightness in training.

    Example:

    >>> NyuRgb(240, 320).input_shape
    (240, 320, 3)
    """

    jitter: bool = True
    dataset: ClassVar[str] = "images"

    @property
    def spec(self):
        return tf.TensorSpec((*self.size, 3), tf.uint8)

    @property
    def input_shape(self):
        return (*self.size, 3)

    def decode(self, source):
        """uint8 `(480, 640, 3)`."""
        return super().decode(source)

    def pack(self, decoded):
        if decoded.shape[:2] == self.size:
            return decoded
        resized = tf.image.resize(decoded, self.size, antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)

    def prepare(self, packed, draws: Draws | None = None):
        """float32 `(B, height, width, 3)`, 0..255."""
        images = crop(packed, draws and draws.boxes, self.size, "bilinear")
        if draws is None or not self.jitter:
            return images
        return jitter_colours(images, draws.seed)


@dataclasses.dataclass(frozen=True)
class NyuDepth(_Frames):
    """Depth frames in metres, holes filled by the dataset's authors.

    Attributes:
        height: of the model's input, in pixels; a frame has 480.
        width: of the model's input, in pixels; a frame has 640.

    Example:

    >>> NyuDepth(240, 320).input_shape
    (240, 320, 1)
    """

    dataset: ClassVar[str] = "depths"

    @property
    def spec(self):
        return tf.TensorSpec((*self.size, 1), tf.uint16)

    @property
    def input_shape(self):
        return (*self.size, 1)

    def decode(self, source):
        """uint16 millimetres `(480, 640, 1)`."""
        with np.errstate(invalid="ignore", over="ignore"):
            millimetres = np.round(1000.0 * super().decode(source))
            fit = (millimetres >= 0) & (millimetres <= _MOST_MILLIMETRES)
        if not fit.all():
            raise self._unfit(source, "with values that are no metres")
        return millimetres.astype(np.uint16)

    def prepare(self, packed, draws: Draws | None = None):
        """float32 metres `(B, height, width, 1)`."""
        return crop(packed, draws and draws.boxes, self.size, "nearest") / 1000.0


@dataclasses.dataclass(frozen=True)
class NyuLabels(_Frames):
    """Classes of the pixels, 0 to 39, and 255 where there is none.

    Give the model's loss `ignore_class=255`, and void pixels are in no term.

    Attributes:
        height: of the model's logits, in pixels; a frame has 480.
        width: of the model's logits, in pixels; a frame has 640.

    Example:

    >>> NyuLabels(240, 320).input_shape
    (240, 320)
    """

    kind: ClassVar[str] = "labels"
    dataset: ClassVar[str] = "labels"

    @property
    def spec(self):
        return tf.TensorSpec((*self.size, 1), tf.uint8)

    @property
    def input_shape(self):
        return self.size

    def decode(self, source):
        """uint8 `(480, 640, 1)`."""
        fine, classes = super().decode(source), np.asarray(source["classes"])
        if fine.max() >= len(classes):
            raise self._unfit(
                source, f"with class {fine.max()} of {len(classes) - 1} classes"
            )
        return classes[fine]

    def prepare(self, packed, draws: Draws | None = None):
        """int32 `(B, height, width)`."""
        labels = crop(packed, draws and draws.boxes, self.size, "nearest")[..., 0]
        return tf.cast(labels, tf.int32)
