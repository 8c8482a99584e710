"""DIST against SciPy's Pearson correlation, and against its definition by pairs."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import pearsonr

from keras_c2kd.losses import DIST


def probabilities(rng, temperature=1.0):
    logits = rng.normal(size=(2, 9, 6)).astype("float32")
    return *logits, *(softmax(x.astype("float64") / temperature, -1) for x in logits)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize(("beta", "gamma"), [(1, 1), (2, 0), (0, 3)])
def test_the_paper_s_formula(rng, beta, gamma, temperature):
    teacher, student, p_t, p_s = probabilities(rng, temperature)

    def distance(a, b):
        rows = zip(a, b, strict=True)
        return 1 - np.mean([pearsonr(x, y).statistic for x, y in rows])

    expected = beta * distance(p_s, p_t) + gamma * distance(p_s.T, p_t.T)
    ours = DIST(beta, gamma, temperature).compute_loss(teacher, student)
    np.testing.assert_allclose(
        float(ours), temperature**2 * expected, rtol=1e-4, atol=1e-6
    )


def test_weights_are_those_of_pairs(rng):
    teacher, student, p_t, p_s = probabilities(rng)
    w = rng.random(9)

    def covariance(a, b):
        pairs = (a[:, None] - a[None]) * (b[:, None] - b[None])
        return (w[:, None] * w[None] * pairs).sum()

    correlations = [
        covariance(a, b) / np.sqrt(covariance(a, a) * covariance(b, b))
        for a, b in zip(p_s.T, p_t.T, strict=True)
    ]
    expected = np.mean(w[:, None] * w[None]) * (1 - np.mean(correlations))
    ours = DIST(0.0, 1.0).compute_loss(teacher, student, None, w.astype("float32"))
    np.testing.assert_allclose(float(ours), expected, rtol=1e-4)
