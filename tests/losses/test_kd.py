"""KD and DML against SciPy."""

import numpy as np
import pytest
from scipy.special import rel_entr, softmax

from keras_c2kd.losses import DML, KD


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
