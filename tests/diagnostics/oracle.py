"""The figures of a modality gap by NumPy and SciPy, and nets whose logits are given."""

import functools

import keras
import numpy as np
from scipy import special, stats

from keras_c2kd.diagnostics import measure_modality_gap

NAMES = {"teacher_modality": "depth", "student_modality": "rgb"}


@functools.cache
def net(*shape, row=None, dtype=None):
    """Returns its input as logits, or row `row` of it: then several share an input."""
    inputs = keras.Input(shape if row is None else (2, *shape))
    outputs = inputs if row is None else inputs[:, row]
    return keras.Model(inputs, keras.layers.Identity(dtype=dtype)(outputs))


def measure(teacher, student, labels, **kwargs):
    """The gap between two nets that return just these logits."""
    nets = net(*teacher.shape[1:]), net(*student.shape[1:])
    data = {"depth": teacher, "rgb": student}
    return measure_modality_gap(*nets, data, labels, **NAMES, **kwargs)


def figures(gap):
    """All numbers in it, for a comparison up to rounding."""
    values = keras.tree.flatten(gap.to_dict())
    return np.array([v for v in values if isinstance(v, (int, float))])


def logits(rng, *shape):
    return (2 * rng.normal(size=shape)).astype("float32")


def krc(one, two):
    """Row by row; a row without one counts as 0."""
    one, two = (z.reshape(-1, z.shape[-1]) for z in (one, two))
    tau = [stats.kendalltau(a, b).statistic for a, b in zip(one, two, strict=True)]
    return np.nan_to_num(tau)


def right(z, labels):
    return (z.argmax(axis=-1) == labels).astype(float)


def target_probability(z, labels):
    probabilities = special.softmax(z.astype("float64"), axis=-1)
    return np.take_along_axis(probabilities, labels[..., None], axis=-1)[..., 0]


def non_target_kl(teaching, learning, labels):
    """One by one, with the label's logit cut out."""
    q, p = (
        [special.softmax(np.delete(row, y)) for row, y in zip(z, labels, strict=True)]
        for z in (teaching.astype("float64"), learning.astype("float64"))
    )
    return np.array([stats.entropy(a, b) for a, b in zip(q, p, strict=True)])
