"""KD and DML against SciPy."""

import numpy as np
import pytest
from scipy.special import rel_entr, softmax

from keras_c2kd.losses import DML, KD
from tests.helpers import gradients


def divergence(a, b, temperature):
    p, q = (softmax(x.astype("float64") / temperature, axis=-1) for x in (a, b))
    return temperature**2 * rel_entr(p, q).sum(-1)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_kd(rng, temperature):
    teacher, student = rng.normal(size=(2, 9, 6)).astype("float32")
    weight = rng.random(9).astype("float32")
    ours = KD(temperature).compute_loss(teacher, student, None, weight)
    expected = (weight * divergence(teacher, student, temperature)).mean()
    np.testing.assert_allclose(float(ours), expected, rtol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_dml(rng, temperature):
    teacher, student = rng.normal(size=(2, 9, 6)).astype("float32")
    ours = DML(temperature).compute_loss(teacher, student)
    expected = divergence(teacher, student, temperature)
    expected += divergence(student, teacher, temperature)
    np.testing.assert_allclose(float(ours), expected.mean(), rtol=1e-5)


def slope(function, x, step=1e-5):
    """The gradient by finite differences, in float64."""
    x = x.astype("float64")
    result = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[i] = step
        result[i] = (function(x + moved) - function(x - moved)) / (2 * step)
    return result


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_dml_teaches_each_with_the_soft_labels_of_the_other_held_fixed(
    rng, temperature
):
    teacher, student = rng.normal(size=(2, 4, 5)).astype("float32")
    weight = np.array([1, 0, 0.5, 2], "float32")

    def of_both(t, s):
        return DML(temperature).compute_loss(t, s, None, weight)

    def held(soft_labels):
        return lambda x: (weight * divergence(soft_labels, x, temperature)).mean()

    to_teacher, to_student = gradients(of_both, [teacher, student])
    expected = slope(held(student), teacher), slope(held(teacher), student)
    np.testing.assert_allclose(to_teacher, expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(to_student, expected[1], rtol=1e-4, atol=1e-6)
