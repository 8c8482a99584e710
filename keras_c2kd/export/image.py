"""Images and depth as users have them, of any size, to what a student takes."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2kd.export.resizing import between, lines, matrices, pair, positions


def image_preprocessing(
    size: int | tuple[int, int],
    height: int | None = None,
    width: int | None = None,
    channels: int = 3,
    frames: int = 1,
    stored_size: int | None = None,
    shrink: str = "area",
    scale: Any = 1.0,
    offset: Any = 0.0,
) -> keras.Model:
    """uint8 images to the 0..255 that `keras_c2kd.data` trains on.

    Resizing is two products with matrices that the graph makes from the image's own
    size, so that every format takes any size; every layer is Keras's own.

    Args:
        size: side of the student's input in pixels, or its height and width.
        height: of the images; `None` takes any.
        width: of the images; `None` takes any.
        channels: 3 for RGB, 1 for grey.
        frames: of a clip; above 1 there is an axis of time.
        stored_size: that of `data.Rgb`, when training kept more pixels than `size`.
        shrink: `"area"` averages as `data.Rgb` and `data.Frames` do, `"antialias"`
            filters as `data.NyuRgb` does.
        scale: multiplies the result, one number or one per channel; 1 / 255 for a
            student that takes 0..1. Students of `keras_c2kd.models` scale themselves.
        offset: added to that.

    Returns:
        A model from uint8 `(B, height, width, channels)`, or `(B, frames, height,
        width, channels)`, to float32 of `size`. It is what training saw, but for
        averages halfway between two of 256 levels, which may get the other one (none
        to one pixel in a thousand of 640 x 480 at 64, three in a hundred of 64 at
        48), and for large JPEGs, which training decodes at a fraction of their size.

    Raises:
        ValueError: a `shrink` that there is not.

    Example:

    >>> from keras_c2kd.export import image_preprocessing
    >>> image_preprocessing(64).output.shape
    (None, 64, 64, 3)
    """
    if shrink not in ("area", "antialias"):
        raise ValueError(
            'Expected `shrink` to be "area" or "antialias". '
            f"Received: shrink={shrink!r}"
        )
    shape = (height, width, channels)
    inputs = keras.Input(
        shape if frames == 1 else (frames, *shape), dtype="uint8", name="image"
    )
    # Channels before rows and columns: what matmul works on comes last.
    pixels = ops.moveaxis(ops.cast(inputs, "float32"), -1, -3)
    stored = pair(stored_size or size)
    steps, areas, filters = zip(*map(matrices, lines(pixels), stored), strict=True)
    if shrink == "area":
        smaller = ops.minimum(*steps) >= 1.0
        pairs = zip(areas, filters, strict=True)
        filters = [ops.where(smaller, area, other) for area, other in pairs]
    pixels = ops.matmul(filters[0], ops.matmul(pixels, ops.transpose(filters[1])))
    # Averages just between two levels are many. To the nearest 1/4096 first, or it
    # would hang on a runtime's order of additions which level it becomes.
    pixels = ops.round(ops.clip(pixels, 0.0, 255.0) * 4096.0) / 4096.0
    pixels = ops.floor(pixels + 0.5) if shrink == "area" else ops.round(pixels)
    if stored != pair(size):
        between_rows, between_columns = map(between, stored, pair(size))
        pixels = ops.matmul(between_rows, ops.matmul(pixels, between_columns.T))
    pixels = ops.moveaxis(pixels, -3, -1)
    scaled = keras.layers.Rescaling(scale, offset, dtype="float32")(pixels)
    return keras.Model(inputs, scaled, name="preprocessing")


def depth_preprocessing(
    size: int | tuple[int, int],
    height: int | None = None,
    width: int | None = None,
    stored_size: int | None = None,
    max_metres: float = 8.0,
) -> keras.Model:
    """Metres of any size to the depth that `keras_c2kd.data` trains on.

    By nearest neighbour, so that a hole never mixes with a reading.

    Args:
        size: side of the student's input in pixels, or its height and width.
        height: of the depth maps; `None` takes any.
        width: of the depth maps; `None` takes any.
        stored_size: that of `data.Depth`, when training kept more pixels than `size`.
        max_metres: what is farther is put there, as in SUN RGB-D; `data.NyuDepth`
            goes to 65.535.

    Returns:
        A model from float32 metres `(B, height, width, 1)` to those of `size`. NaN
        and what is not positive become 0, no reading.

    Example:

    >>> from keras_c2kd.export import depth_preprocessing
    >>> depth_preprocessing(64, height=480, width=640).input.shape
    (None, 480, 640, 1)
    """
    inputs = keras.Input((height, width, 1), name="depth")
    metres = ops.where(inputs > 0.0, ops.minimum(inputs, max_metres), 0.0)
    stored = pair(stored_size or size)
    for axis, line in enumerate(lines(ops.moveaxis(metres, -1, -3))):
        middles = np.arange(stored[axis], dtype="float32") + 0.5
        nearest = ops.floor(ops.sum(line) / stored[axis] * middles)
        metres = ops.take(metres, ops.cast(nearest, "int32"), axis=1 + axis)
        if stored != pair(size):
            at = positions(stored[axis], pair(size)[axis])
            nearest = np.floor(at + 0.5).astype("int32")
            metres = ops.take(metres, nearest, axis=1 + axis)
    return keras.Model(inputs, metres, name="preprocessing")
