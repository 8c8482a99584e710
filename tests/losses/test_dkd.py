"""DKD and NKD against NumPy, sample by sample."""

import numpy as np
import pytest
from scipy.special import rel_entr, softmax

from keras_c2kd.losses import DKD, NKD


@pytest.fixture
def batch(rng):
    teacher, student = 2 * rng.normal(size=(2, 9, 6)).astype("float32")
    return teacher, student, rng.integers(0, 6, 9)


def parts(logits, label, temperature):
    """The probability of the target, and those of the others among themselves."""
    p = softmax(logits.astype("float64") / temperature)
    rest = np.delete(p, label)
    return p[label], rest / rest.sum()


@pytest.mark.parametrize(("alpha", "beta", "temperature"), [(1, 8, 4), (0.5, 2, 1)])
def test_dkd(batch, alpha, beta, temperature):
    expected = []
    for t, s, y in zip(*batch, strict=True):
        (p_t, n_t), (p_s, n_s) = (parts(x, y, temperature) for x in (t, s))
        target = rel_entr([p_t, 1 - p_t], [p_s, 1 - p_s]).sum()
        expected.append(alpha * target + beta * rel_entr(n_t, n_s).sum())
    ours = DKD(alpha, beta, temperature).compute_loss(*batch)
    np.testing.assert_allclose(
        float(ours), temperature**2 * np.mean(expected), rtol=1e-5
    )


@pytest.mark.parametrize(("gamma", "temperature"), [(1.5, 1.0), (0.3, 2.0)])
def test_nkd(batch, gamma, temperature):
    expected = []
    for t, s, y in zip(*batch, strict=True):
        p_t, p_s = parts(t, y, 1.0)[0], parts(s, y, 1.0)[0]
        n_t, n_s = parts(t, y, temperature)[1], parts(s, y, temperature)[1]
        rest = gamma * temperature**2 * (n_t * np.log(n_s)).sum()
        expected.append(-p_t * np.log(p_s) - rest)
    ours = NKD(gamma, temperature).compute_loss(*batch)
    np.testing.assert_allclose(float(ours), np.mean(expected), rtol=1e-5)
