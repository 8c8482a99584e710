"""FitNets against NumPy."""

import keras
import numpy as np
import pytest

from keras_c2kd import CrossModalDistiller
from keras_c2kd.losses import FitNets
from tests.helpers import conv_net, weights_of


def built(teacher, student, rng):
    """The loss, and its regressor in NumPy as `regress(features, weight)`."""
    loss = FitNets()
    loss.build(*((None, *x.shape[1:]) for x in (teacher, student)))
    gamma, beta = rng.normal(size=(2, teacher.shape[-1])).astype("float32")
    loss.gamma.assign(gamma)
    loss.beta.assign(beta)
    kernel = keras.ops.convert_to_numpy(loss.regressor.kernel)

    def regress(features, weight=None):
        x = (features @ kernel).reshape(len(features), -1, len(gamma))
        rows = x.reshape(-1, len(gamma))
        weights = None if weight is None else np.repeat(weight, x.shape[1])
        mean = np.average(rows, axis=0, weights=weights)
        variance = np.average((rows - mean) ** 2, axis=0, weights=weights)
        x = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
        return x.reshape(*features.shape[:-1], len(gamma))

    return loss, regress


@pytest.mark.parametrize("positions", [(), (7,), (3, 4)])
def test_the_regressor_and_the_mean_square(rng, positions):
    teacher = rng.normal(size=(5, *positions, 4)).astype("float32")
    student = rng.normal(size=(5, *positions, 6)).astype("float32")
    loss, regress = built(teacher, student, rng)
    square = np.square(regress(student) - teacher)
    ours = loss.compute_loss(teacher, student)
    np.testing.assert_allclose(float(ours), square.mean(), rtol=1e-5)
    weight = rng.random(5).astype("float32")
    square = np.square(regress(student, weight) - teacher)
    expected = (square.reshape(5, -1).mean(1) * weight).mean()
    ours = loss.compute_loss(teacher, student, None, weight)
    np.testing.assert_allclose(float(ours), expected, rtol=1e-5)


def test_it_is_what_keras_normalises(rng):
    teacher = rng.normal(size=(5, 3, 4, 4)).astype("float32")
    student = rng.normal(size=(5, 3, 4, 6)).astype("float32")
    loss, _ = built(teacher, student, rng)
    theirs = keras.layers.BatchNormalization(epsilon=1e-5)
    theirs.build((None, 3, 4, 4))
    theirs.gamma.assign(loss.gamma)
    theirs.beta.assign(loss.beta)
    normal = theirs(loss.regressor(student), training=True)
    expected = np.square(keras.ops.convert_to_numpy(normal) - teacher)
    ours = loss.compute_loss(teacher, student)
    np.testing.assert_allclose(float(ours), np.mean(expected), rtol=1e-5)


def test_a_larger_map_is_resized(rng):
    teacher = rng.normal(size=(5, 2, 2, 4)).astype("float32")
    student = rng.normal(size=(5, 4, 4, 6)).astype("float32")
    loss, regress = built(teacher, student, rng)
    # Halving a bilinear map is a mean of two by two.
    halved = student.reshape(5, 2, 2, 2, 2, 6).mean((2, 4))
    expected = np.square(regress(halved) - teacher).mean()
    ours = loss.compute_loss(teacher, student)
    np.testing.assert_allclose(float(ours), expected, rtol=1e-5)


@pytest.mark.parametrize("positions", [(2, 3), (9,)])
def test_a_map_or_another_length_and_a_sequence_are_averaged(rng, positions):
    teacher = rng.normal(size=(5, *positions, 4)).astype("float32")
    student = rng.normal(size=(5, 7, 6)).astype("float32")
    loss, regress = built(teacher, student, rng)
    means = teacher.reshape(5, -1, 4).mean(1), student.mean(1)
    expected = np.square(regress(means[1]) - means[0]).mean()
    ours = loss.compute_loss(teacher, student)
    np.testing.assert_allclose(float(ours), expected, rtol=1e-5)


def test_a_sample_weighs_what_its_pixels_do_on_average(rng):
    teacher = rng.normal(size=(4, 3, 2, 4)).astype("float32")
    student = rng.normal(size=(4, 3, 2, 6)).astype("float32")
    loss, _ = built(teacher, student, rng)
    weight = rng.random((4, 4, 4)).astype("float32")
    ours, expected = (
        float(loss.compute_loss(teacher, student, None, w))
        for w in (weight, weight.mean((1, 2)))
    )
    np.testing.assert_allclose(ours, expected, rtol=1e-5)


def test_channels_may_come_first(rng, monkeypatch):
    teacher = rng.normal(size=(5, 2, 2, 4)).astype("float32")
    student = rng.normal(size=(5, 4, 4, 6)).astype("float32")
    loss, _ = built(teacher, student, rng)
    expected = float(loss.compute_loss(teacher, student))
    first = [np.moveaxis(x, -1, 1) for x in (teacher, student)]
    monkeypatch.setattr("keras.config.image_data_format", lambda: "channels_first")
    other = FitNets()
    other.build(*((None, *x.shape[1:]) for x in first))
    for ours, theirs in zip(other.weights, loss.weights, strict=True):
        ours.assign(theirs)
    np.testing.assert_allclose(float(other.compute_loss(*first)), expected, rtol=1e-5)


def test_without_its_regressor_it_says_who_makes_it(rng):
    features = rng.normal(size=(5, 4)).astype("float32")
    with pytest.raises(ValueError, match=r"build\(teacher_shape, student_shape\)"):
        FitNets().compute_loss(features, features)


def test_the_regressor_trains_and_is_saved_with_the_run(rng, tmp_path):
    teacher = conv_net(1)
    teacher.trainable = False
    model = CrossModalDistiller(
        teacher,
        conv_net(3),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage",
        student_features="stage_2",
        distillation_losses=FitNets(),
        distillation_loss_weights=10.0,
    )
    model.compile(keras.optimizers.SGD(0.01))
    x = {
        "depth": rng.normal(size=(12, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(12, 8, 8, 3)).astype("float32"),
    }
    y = np.arange(12) % 3
    (loss,) = model.distillation_losses.values()
    before = weights_of(loss)
    history = model.fit(x, y, epochs=5, verbose=0).history["fit_nets"]
    assert history[-1] < history[0]
    assert not np.array_equal(before[0], weights_of(loss)[0])
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    (again,) = loaded.distillation_losses.values()
    np.testing.assert_array_equal(weights_of(again)[0], weights_of(loss)[0])
    assert not any("regressor" in w.path for w in model.student.weights)
