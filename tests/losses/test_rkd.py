"""RKD against loops over pairs and triplets."""

import numpy as np
import pytest

from keras_c2kd.losses import RKD
from tests.helpers import gradients


def huber(a, b):
    d = abs(a - b)
    return 0.5 * d * d if d <= 1 else d - 0.5


def distances(x, w):
    d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
    return d / np.average(d[d > 0], weights=np.outer(w, w)[d > 0])


def cosine(x, i, j, k):
    u, v = x[i] - x[j], x[k] - x[j]
    lengths = np.linalg.norm(u) * np.linalg.norm(v)
    return u @ v / lengths if lengths > 0 else 0.0


def by_loops(teacher, student, w, distance_weight, angle_weight):
    t, s = (x.astype("float64") for x in (teacher, student))
    d_t, d_s, n = distances(t, w), distances(s, w), range(len(t))
    distance = np.mean(
        [w[i] * w[j] * huber(d_s[i, j], d_t[i, j]) for i in n for j in n]
    )
    angle = np.mean(
        [
            w[i] * w[j] * w[k] * huber(cosine(s, i, j, k), cosine(t, i, j, k))
            for i in n
            for j in n
            for k in n
        ]
    )
    return distance_weight * distance + angle_weight * angle


@pytest.mark.parametrize("weights", [(25.0, 50.0), (1.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("scale", [None, 1.0, 0.01])
def test_the_paper_s_formula(rng, weights, scale):
    teacher = rng.normal(size=(7, 5)).astype("float32")
    student = 3 * rng.normal(size=(7, 4)).astype("float32")
    student[3] = student[2]  # two samples in one place
    w = np.ones(7) if scale is None else scale * rng.random(7)
    given = None if scale is None else w.astype("float32")
    ours = RKD(*weights).compute_loss(teacher, student, None, given)
    np.testing.assert_allclose(
        float(ours), by_loops(teacher, student, w, *weights), rtol=1e-4
    )


def test_weights_of_one_change_nothing(rng):
    pair = rng.normal(size=(2, 7, 5)).astype("float32")
    none, ones = (
        float(RKD().compute_loss(*pair, None, w)) for w in (None, np.ones(7, "float32"))
    )
    assert none == ones


def test_a_batch_of_weight_zero_is_zero(rng):
    teacher, student = rng.normal(size=(2, 7, 5)).astype("float32")

    def of_student(s):
        return RKD().compute_loss(teacher, s, None, np.zeros(7, "float32"))

    assert float(of_student(student)) == 0.0
    assert not gradients(of_student, [student])[0].any()


def test_a_sample_weighs_what_its_pixels_do_on_average(rng):
    teacher, student = rng.normal(size=(2, 5, 3, 4, 6)).astype("float32")
    weight = rng.random((5, 2, 2)).astype("float32")
    ours, expected = (
        float(RKD().compute_loss(teacher, student, None, w))
        for w in (weight, weight.mean((1, 2)))
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_channels_may_come_first(rng, monkeypatch):
    teacher, student = rng.normal(size=(2, 5, 3, 4, 6)).astype("float32")
    expected = float(RKD().compute_loss(teacher, student))
    monkeypatch.setattr("keras.config.image_data_format", lambda: "channels_first")
    ours = RKD().compute_loss(*(np.moveaxis(x, -1, 1) for x in (teacher, student)))
    np.testing.assert_allclose(float(ours), expected, rtol=1e-5)


def test_maps_are_averaged_over_positions(rng):
    teacher = rng.normal(size=(5, 3, 4, 6)).astype("float32")
    student = rng.normal(size=(5, 7, 8)).astype("float32")
    means = teacher.mean((1, 2)), student.mean(1)
    ours, expected = (
        float(RKD().compute_loss(*pair)) for pair in ((teacher, student), means)
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
