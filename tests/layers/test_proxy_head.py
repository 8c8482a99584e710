import keras
import numpy as np
import pytest

from keras_c2kd import ProxyHead
from tests.helpers import relative_error


def by_hand(head, features, training=False):
    """classifier(LeakyReLU(BatchNorm(Linear(features)))) in float64 NumPy."""
    linear, gamma, beta, mean, variance, kernel, bias = map(
        np.float64, head.get_weights()
    )
    x = features.reshape(len(features), -1, features.shape[-1]).mean(1) @ linear
    if training:
        mean, variance = x.mean(0), x.var(0)
    x = (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    return np.where(x > 0, x, 0.1 * x) @ kernel + bias


@pytest.mark.parametrize("shape", [(6, 4), (6, 5, 4), (6, 3, 2, 4), (6, 2, 3, 2, 4)])
@pytest.mark.parametrize("training", [False, True])
def test_is_the_papers_formula(rng, shape, training):
    features = rng.normal(size=shape).astype("float32")
    head = ProxyHead(3)
    head.build(shape)
    weights = [rng.uniform(0.5, 1.5, w.shape) for w in head.get_weights()]
    head.set_weights(weights)
    expected = by_hand(head, features, training)
    assert relative_error(head(features, training=training), expected) < 1e-5


def test_weights_are_in_the_documented_order():
    head = ProxyHead(3)
    head.build((None, 4))
    names = [(w.path.split("/")[-2], w.name) for w in head.weights]
    assert [name for _, name in names] == [
        "kernel",
        "gamma",
        "beta",
        "moving_mean",
        "moving_variance",
        "kernel",
        "bias",
    ]
    shapes = [w.shape for w in head.get_weights()]
    assert shapes == [(4, 4), (4,), (4,), (4,), (4,), (4, 3), (3,)]


def test_moving_statistics_move_by_a_tenth(rng):
    features = rng.normal(size=(32, 4)).astype("float32")
    head = ProxyHead(3)
    head(features, training=True)
    projected = features @ head.get_weights()[0]
    np.testing.assert_allclose(
        head.get_weights()[3], 0.1 * projected.mean(0), rtol=1e-4, atol=1e-6
    )


def test_a_padding_mask_is_respected(rng):
    features = rng.normal(size=(2, 5, 4)).astype("float32")
    mask = np.array([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]], bool)
    head = ProxyHead(3)
    padded = head(features, mask=mask)
    cut = head(features[:1, :2])
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(padded)[0],
        keras.ops.convert_to_numpy(cut)[0],
        atol=1e-6,
    )


def test_without_pooling_every_position_has_logits(rng):
    features = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    head = ProxyHead(7, pooling=None)
    assert tuple(head(features).shape) == (2, 3, 5, 7)
    assert head.compute_output_shape((None, 3, 5, 4)) == (None, 3, 5, 7)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_logits_are_float32_under_a_mixed_policy(rng, policy):
    head = ProxyHead(3, dtype=policy)
    logits = head(rng.normal(size=(2, 4)).astype("float32"))
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"
    assert head.linear.compute_dtype in policy


@pytest.mark.parametrize("pooling", ["average", None])
def test_config_round_trip(rng, pooling):
    features = rng.normal(size=(2, 3, 5, 4)).astype("float32")
    head = ProxyHead(7, pooling=pooling, name="head")
    expected = keras.ops.convert_to_numpy(head(features))
    config = keras.saving.serialize_keras_object(head)
    copy = keras.saving.deserialize_keras_object(config)
    copy.set_weights(head.get_weights())
    assert copy.get_config() == head.get_config()
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(copy(features)), expected)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: ProxyHead(1), "num_classes=1"),
        (lambda: ProxyHead("3"), "num_classes='3'"),
        (lambda: ProxyHead(3, pooling="max"), "pooling='max'"),
        (lambda: ProxyHead(3).build((None,)), "features of shape"),
        (lambda: ProxyHead(3).build((None, 1, 1, 1, 1, 4)), "features of shape"),
    ],
)
def test_bad_input_is_refused(build, words):
    with pytest.raises(ValueError, match=words):
        build()
