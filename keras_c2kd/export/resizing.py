"""Matrices that resize, made in the graph from the size that an image has there."""

import numpy as np
from keras import ops


def pair(size):
    return (size, size) if isinstance(size, int) else tuple(size)


def lines(pixels):
    """Ones, as many as there are rows, and as many as there are columns.

    `ops.shape` of a symbolic tensor says None; what is counted stays in the graph.
    """
    while len(pixels.shape) > 2:
        pixels = pixels[0]
    return ops.ones_like(pixels[:, 0]), ops.ones_like(pixels[0])


def matrices(line, size):
    """n / size, and `(size, n)`: means of areas, and a triangle filter."""
    step = ops.sum(line) / size
    at = ops.cumsum(line) - 1.0
    i = np.arange(size, dtype="float32")[:, None]
    overlap = ops.minimum(step * (i + 1.0), at + 1.0) - ops.maximum(step * i, at)
    distance = ops.absolute(at + 0.5 - step * (i + 0.5)) / ops.maximum(step, 1.0)
    triangle = ops.relu(1.0 - distance)
    return (
        step,
        ops.relu(overlap) / step,
        triangle / ops.sum(triangle, -1, keepdims=True),
    )


def positions(stored, size):
    """Where `tf.image.crop_and_resize` looks: corners meet corners."""
    if size == 1:
        return np.array([(stored - 1) / 2])
    return np.arange(size) * (stored - 1) / (size - 1)


def between(stored, size):
    """`(size, stored)`, bilinear at those positions."""
    at = positions(stored, size)[:, None]
    weights = np.maximum(1.0 - np.abs(at - np.arange(stored)), 0.0)
    return weights.astype("float32")
