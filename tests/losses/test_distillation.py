"""What all losses of the other methods have in common."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_c2kd.losses import DIST, DKD, DML, KD, NKD, RKD, FitNets
from tests.helpers import gradients

LOGITS = [KD(), DKD(), DIST(), NKD(), DML()]
FEATURES = [RKD(), FitNets()]
LOSSES = LOGITS + FEATURES
NAMES = [type(loss).__name__ for loss in LOSSES]


@pytest.fixture(params=LOSSES, ids=NAMES)
def loss(request):
    if isinstance(request.param, FitNets) and not request.param.built:
        request.param.build((None, 6), (None, 6))
    return request.param


# The term of either weight: how many of its samples' weights are multiplied.
SAMPLES_OF_A_TERM = {DIST: (1, 2), RKD: (2, 3)}


@pytest.fixture
def batch(rng):
    teacher, student = 2 * rng.normal(size=(2, 9, 6)).astype("float32")
    return teacher, student, rng.integers(0, 6, 9)


def value(loss, teacher, student, labels, weight=None):
    return float(
        ops.convert_to_numpy(loss.compute_loss(teacher, student, labels, weight))
    )


def test_only_the_student_learns(loss, batch):
    teacher, student, labels = batch

    def of_both(t, s):
        return loss.compute_loss(t, s, labels)

    to_teacher, to_student = gradients(of_both, [teacher, student])
    assert np.abs(to_student).max() > 1e-5 and np.isfinite(to_student).all()
    assert (np.abs(to_teacher).max() > 1e-5) == isinstance(loss, DML)


# Not of DML, whose terms hold one side fixed: see test_kd.py.
@pytest.mark.parametrize("loss", [KD(), DKD(), DIST(), NKD(), *FEATURES], indirect=True)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_the_value(loss, batch, weighted):
    teacher, student, labels = batch
    weight = np.linspace(0, 2, len(labels)).astype("float32") if weighted else None

    def of_student(s):
        return loss.compute_loss(teacher, s, labels, weight)

    (gradient,) = gradients(of_student, [student])
    step = 2e-2 * np.random.default_rng(1).normal(size=student.shape).astype("float32")
    change = value(loss, teacher, student + step, labels, weight)
    change -= value(loss, teacher, student - step, labels, weight)
    np.testing.assert_allclose(
        change, 2 * np.sum(gradient * step), rtol=2e-2, atol=1e-4
    )


def test_a_sample_of_weight_zero_is_not_there(loss, batch):
    teacher, student, labels = batch
    weight = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0], "float32")
    there = weight > 0
    some = teacher[there], student[there], labels[there]
    weighted = value(loss, teacher, student, labels, weight)
    share = there.mean()
    if type(loss) in SAMPLES_OF_A_TERM:
        weights = list(loss.get_config().values())[:2]
        alone = [value(type(loss)(*row), *some) for row in np.diag(weights)]
        powers = SAMPLES_OF_A_TERM[type(loss)]
        expected = sum(share**n * x for n, x in zip(powers, alone, strict=True))
    else:
        expected = share * value(loss, *some)
    np.testing.assert_allclose(weighted, expected, rtol=1e-5)
    ones = value(loss, teacher, student, labels, np.ones_like(weight))
    np.testing.assert_allclose(ones, value(loss, teacher, student, labels), rtol=1e-6)


def test_what_a_sample_of_weight_zero_holds_is_not_seen(loss, batch):
    teacher, student, labels = batch
    weight = np.array([1, 0, 0.5, 1, 0, 2, 1, 1, 0], "float32")
    scale = np.where(weight > 0, 1, 100).astype("float32")[:, None]

    def of_both(t, s):
        return loss.compute_loss(t, s, labels, weight)

    small, large = (teacher, student), (scale * teacher, scale * student)
    one, two = (value(loss, *pair, labels, weight) for pair in (small, large))
    assert one == two
    before, after = (gradients(of_both, [*pair]) for pair in (small, large))
    for one, two in zip(before, after, strict=True):
        assert not one[weight == 0].any()
        np.testing.assert_array_equal(one, two)


def test_one_sample_and_large_values_are_finite(loss, batch):
    teacher, student, labels = batch

    def of_student(s, t=teacher[:1], y=labels[:1]):
        return loss.compute_loss(t, s, y)

    for scale in (1.0, 1e4):
        (gradient,) = gradients(of_student, [scale * student[:1]])
        assert np.isfinite(value(loss, teacher, scale * student, labels))
        assert np.isfinite(gradient).all()


def test_constant_rows_are_finite(loss, batch):
    _, _, labels = batch
    same = np.ones((9, 6), "float32")

    def of_student(s):
        return loss.compute_loss(same, s, labels)

    (gradient,) = gradients(of_student, [same])
    assert np.isfinite(gradient).all() and np.isfinite(value(loss, same, same, labels))


def test_computed_in_float32(loss, batch):
    teacher, student, labels = batch
    low = [ops.cast(x, "bfloat16") for x in (teacher, student)]
    result = loss.compute_loss(*low, labels)
    assert keras.backend.standardize_dtype(result.dtype) == "float32"
    rounded = [ops.convert_to_numpy(ops.cast(x, "float32")) for x in low]
    np.testing.assert_allclose(
        float(ops.convert_to_numpy(result)), value(loss, *rounded, labels), rtol=1e-6
    )


def test_config_round_trip(loss):
    config = keras.saving.serialize_keras_object(loss)
    loaded = keras.saving.deserialize_keras_object(config)
    assert type(loaded) is type(loss) and loaded.get_config() == loss.get_config()


@pytest.mark.parametrize("loss", LOGITS, ids=NAMES[: len(LOGITS)])
def test_positions_are_samples(loss, rng):
    teacher, student = rng.normal(size=(2, 4, 3, 5, 6)).astype("float32")
    labels = rng.integers(0, 6, (4, 3, 5))
    flat = [x.reshape(-1, 6) for x in (teacher, student)]
    np.testing.assert_allclose(
        value(loss, teacher, student, labels),
        value(loss, *flat, labels.reshape(-1)),
        rtol=1e-5,
    )
    by_image = rng.random(4).astype("float32")
    by_pixel = np.repeat(by_image, 15)
    np.testing.assert_allclose(
        value(loss, teacher, student, labels, by_image),
        value(loss, *flat, labels.reshape(-1), by_pixel),
        rtol=1e-5,
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: KD(0.0), "temperature=0.0"),
        (lambda: DML("1"), "temperature='1'"),
        (lambda: DKD(beta=-1), "beta=-1"),
        (lambda: NKD(gamma=float("nan")), "gamma=nan"),
        (lambda: DIST(temperature=float("inf")), "temperature=inf"),
        (lambda: RKD(angle_weight=None), "angle_weight=None"),
    ],
)
def test_settings_out_of_range(build, message):
    with pytest.raises(ValueError, match=f"Received: {message}"):
        build()


@pytest.mark.parametrize("loss", [DKD(), NKD()], ids=["DKD", "NKD"])
def test_losses_of_the_target_need_labels(loss, batch):
    teacher, student, labels = batch
    with pytest.raises(ValueError, match="Received: labels=None"):
        loss.compute_loss(teacher, student)
    one_hot = np.eye(6, dtype="float32")[labels]
    np.testing.assert_allclose(
        value(loss, teacher, student, one_hot), value(loss, teacher, student, labels)
    )
