"""What SHAKE, FD-CMKD and UCMKD have in common."""

import keras
import numpy as np
import pytest

from keras_c2kd.distillers.fd_cmkd import FDCMKD
from keras_c2kd.distillers.incomplete import presence_of
from keras_c2kd.distillers.parts import FeatureVector
from keras_c2kd.distillers.shake import SHAKE
from keras_c2kd.distillers.ucmkd import UCMKD
from tests.helpers import assert_same, conv_net, dense_net, pairs, weights_of

METHODS = [SHAKE, FDCMKD, UCMKD]
SETTINGS = {
    SHAKE: {"temperature": 2.0, "mutual_weight": 0.5, "label_weight": 1.0},
    FDCMKD: {"align_weight": 0.5, "low_weight": 2.0, "high_weight": 3.0},
    UCMKD: {"feature_weight": 0.5, "label_weight": 0.2, "epsilon": 1.0},
}
# Tracing costs more than a step, but for JAX.
EAGER = keras.config.backend() != "jax"
THERE = np.arange(24) % 3 != 1  # the samples that count
every_method = pytest.mark.parametrize("method", METHODS)


def distiller(
    method, frozen=True, teacher=None, student=None, tap="features", **kwargs
):
    teacher = teacher or dense_net(4, name="teacher")
    student = student or dense_net(6, hidden=8, name="student")
    teacher.trainable = not frozen
    taps = tap if isinstance(tap, tuple) else (tap, tap)
    model = method(teacher, student, "depth", "rgb", *taps, **kwargs)
    model.compile(keras.optimizers.SGD(0.05), run_eagerly=EAGER)
    return model


def terms(model, x, y, weight=None):
    """What `distill` returns of one batch, outside of Keras's loops."""
    presence = presence_of(model, x)
    terms, _ = model.distill(y, model(x), weight, presence and presence.complete)
    assert tuple(terms) == model.term_names
    values = (keras.ops.convert_to_numpy(term) for _, term in terms.values())
    return np.array([*values])


def settings(model):
    nested = ("teacher", "student", "dtype")
    return {k: v for k, v in model.get_config().items() if k not in nested}


def rows(x, keep):
    return {name: value[keep] for name, value in x.items()}


@every_method
def test_the_loss_is_the_weighted_sum(method):
    x, y = pairs()
    model = distiller(method, **SETTINGS[method])
    weights = {
        SHAKE: (1.0, 0.5, 0.5, 1.0),
        FDCMKD: (0.5, 2.0, 3.0),
        UCMKD: (0.5, 0.2, 1.0),
    }[method]
    logs = model.evaluate(x, y, batch_size=24, verbose=0, return_dict=True)
    task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    expected = float(task(y, model.student.predict(x["rgb"], verbose=0)))
    expected += np.dot(weights, [logs[name] for name in model.term_names])
    assert logs["loss"] == pytest.approx(expected, rel=1e-5)


@every_method
def test_a_sample_of_weight_0_is_in_no_term(method):
    x, y = pairs()
    model = distiller(method)
    some = terms(model, x, y, THERE.astype("float32"))
    alone = terms(model, rows(x, THERE), y[THERE])
    np.testing.assert_allclose(some, alone * THERE.mean(), rtol=1e-3, atol=1e-6)


@every_method
def test_a_sample_without_a_modality_is_in_no_term(method):
    x, y = pairs()
    spoiled = {**x, "depth": np.where(THERE[:, None], x["depth"], np.float32("nan"))}
    model = distiller(method)
    some = terms(model, {**spoiled, "present": {"depth": THERE}}, y)
    alone = terms(model, rows(x, THERE), y[THERE])
    np.testing.assert_allclose(some, alone, rtol=1e-3, atol=1e-6)


@every_method
def test_a_void_label_is_in_no_term(method):
    x, y = pairs()
    model = distiller(method)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model.compile("sgd", loss=loss)
    some = terms(model, x, np.where(THERE, y, -1))
    alone = terms(model, rows(x, THERE), y[THERE])
    np.testing.assert_allclose(some, alone, rtol=1e-3, atol=1e-6)


@every_method
def test_a_teacher_that_is_not_frozen_learns_from_labels_alone(method):
    x, y = pairs()
    model = distiller(method, frozen=False)
    alone = keras.models.clone_model(model.teacher)
    alone.set_weights(model.teacher.get_weights())
    alone.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    alone.train_on_batch(x["depth"], y)
    model.train_on_batch(x, y)
    assert_same(weights_of(model.teacher), weights_of(alone), atol=1e-6)


@every_method
def test_it_is_saved_with_its_settings_and_layers(method, tmp_path):
    x, y = pairs()
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [0.0, 1.0])
    scheduled = {SHAKE: "shadow_weight", FDCMKD: "low_weight", UCMKD: "feature_weight"}
    model = distiller(method, **{**SETTINGS[method], scheduled[method]: schedule})
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    ours, theirs = (settings(m) for m in (model, loaded))
    assert ours == theirs
    assert_same(weights_of(loaded), weights_of(model))
    np.testing.assert_allclose(terms(loaded, x, y), terms(model, x, y), rtol=1e-5)


@every_method
def test_convolutional_nets_with_taps_of_other_widths_in_backbones(method, rng):
    nets = conv_net(1, nested=True), conv_net(3, nested=True)
    taps = "backbone/stage", "backbone/stage_2"
    model = distiller(method, teacher=nets[0], student=nets[1], tap=taps)
    x = {
        "depth": rng.normal(size=(8, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(8, 8, 8, 3)).astype("float32"),
    }
    before = weights_of(model.teacher)
    logs = model.fit(x, np.arange(8) % 3, verbose=0).history
    assert np.isfinite([logs[name] for name in ("loss", *model.term_names)]).all()
    assert_same(weights_of(model.teacher), before, atol=0)
    assert model.predict(x["rgb"], verbose=0).shape == (8, 3)


@keras.saving.register_keras_serializable(package="tests")
class WithFeatures(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.body = keras.layers.Dense(8, activation="relu")
        self.head = keras.layers.Dense(3)

    def call(self, x):
        features = self.body(x)
        return {"logits": self.head(features), "features": features}


@every_method
def test_subclassed_models(method, tmp_path):
    x, y = pairs()
    model = distiller(method, teacher=WithFeatures(), student=WithFeatures(), tap=None)
    model(x)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    np.testing.assert_allclose(terms(loaded, x, y), terms(model, x, y), rtol=1e-5)


@every_method
def test_bfloat16_nets_have_terms_in_float32(method):
    x, y = pairs()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        nets = dense_net(4), dense_net(6, hidden=8)
    finally:
        keras.config.set_dtype_policy("float32")
    model = distiller(method, teacher=nets[0], student=nets[1])
    in_bfloat16 = terms(model, x, y)
    assert in_bfloat16.dtype == "float32"
    in_float32 = distiller(method)
    in_float32.set_weights(model.get_weights())
    np.testing.assert_allclose(in_bfloat16, terms(in_float32, x, y), atol=0.05)


@pytest.mark.parametrize(
    ("method", "change", "words"),
    [
        (SHAKE, {"tap": (None, None)}, "teacher_features=None"),
        (FDCMKD, {"tap": (None, "features")}, "teacher_features=None"),
        (UCMKD, {"tap": ("features", None)}, "student_features=None"),
        (SHAKE, {"temperature": 0.0}, "above 0. Received: temperature=0.0"),
        (SHAKE, {"label_weight": -1.0}, "Received: label_weight=-1.0"),
        (FDCMKD, {"low_weight": "1"}, "Received: low_weight='1'"),
        (UCMKD, {"epsilon": np.inf}, "above 0. Received: epsilon=inf"),
        (UCMKD, {"iterations": 0}, "at least 1. Received: iterations=0"),
    ],
)
def test_wrong_settings_are_refused(method, change, words):
    with pytest.raises(ValueError, match=words):
        distiller(method, **change)


@pytest.mark.parametrize("method", [FDCMKD, UCMKD])
def test_logits_of_several_positions_are_refused(method):
    with pytest.raises(ValueError, match="one feature vector a sample. Received"):
        distiller(method, teacher=segmenter(1), student=segmenter(3), tap="stage")


def segmenter(channels):
    x = inputs = keras.Input((8, 8, channels))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="stage")(x)
    x = keras.layers.UpSampling2D()(x)
    return keras.Model(inputs, keras.layers.Conv2D(3, 1)(x))


def test_a_shadow_of_a_segmenter_meets_the_label_grid(rng):
    model = distiller(SHAKE, teacher=segmenter(1), student=segmenter(3), tap="stage")
    x = {
        "depth": rng.normal(size=(2, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(2, 8, 8, 3)).astype("float32"),
    }
    assert tuple(model(x)["shadow_logits"].shape) == (2, 8, 8, 3)
    assert np.isfinite(terms(model, x, rng.integers(0, 3, (2, 8, 8)))).all()


@pytest.mark.parametrize("shape", [(5,), (4, 5), (2, 3, 5), (2, 2, 3, 5)])
@pytest.mark.parametrize("width", [None, 5, 7])
def test_a_feature_vector_is_the_mean_over_positions(rng, shape, width):
    x = rng.normal(size=(3, *shape)).astype("float32")
    layer = FeatureVector(width)
    ours = keras.ops.convert_to_numpy(layer(x))
    expected = x.reshape(3, -1, 5).mean(1)
    if width == 7:
        kernel, bias = layer.get_weights()
        expected = expected @ kernel + bias
    assert layer.compute_output_shape(x.shape) == expected.shape
    np.testing.assert_allclose(ours, expected, atol=1e-5)


def test_a_feature_vector_leaves_padding_out(rng):
    x = rng.normal(size=(2, 4, 5)).astype("float32")
    x[0, 2:] = 0.0
    masked = keras.layers.Masking(dtype="bfloat16")(x)
    ours = keras.ops.convert_to_numpy(FeatureVector()(masked))
    assert ours.dtype == "float32"
    np.testing.assert_allclose(ours, [x[0, :2].mean(0), x[1].mean(0)], atol=0.02)


def test_features_of_no_known_shape_are_refused():
    with pytest.raises(ValueError, match="up to three axes.*Received: features.shape"):
        FeatureVector()(np.zeros((1, 1, 1, 1, 1, 1), "float32"))
