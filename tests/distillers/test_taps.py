import keras
import numpy as np
import pytest
from keras import layers, ops

from keras_c2kd.distillers.taps import FeatureTap
from tests.helpers import conv_net


def assert_close(ours, expected, atol):
    ours, expected = ops.convert_to_numpy(ours), ops.convert_to_numpy(expected)
    np.testing.assert_allclose(ours, expected, atol=atol)


def output_of(model, layer):
    return keras.Model(model.input, layer.output)


def test_a_flat_layer(rng):
    net, x = conv_net(3), rng.normal(size=(2, 8, 8, 3)).astype("float32")
    logits, features = FeatureTap(net, "stage", "teacher")(x)
    assert_close(logits, net(x), atol=1e-6)
    assert_close(features, output_of(net, net.get_layer("stage"))(x), atol=1e-6)


def test_a_layer_inside_a_nested_backbone(rng):
    net, x = conv_net(3, nested=True), rng.normal(size=(2, 8, 8, 3)).astype("float32")
    logits, features = FeatureTap(net, "backbone/stage", "student")(x)
    backbone = net.get_layer("backbone")
    expected = output_of(backbone, backbone.get_layer("stage"))(x)
    assert_close(logits, net(x), atol=1e-6)
    assert_close(features, expected, atol=1e-6)


def test_two_levels_down_in_a_sequential(rng):
    inner = keras.Sequential(
        [keras.Input((4,)), layers.Dense(5, name="deep"), layers.ReLU()], name="inner"
    )
    middle = keras.Sequential(
        [keras.Input((4,)), inner, layers.Dense(6)], name="middle"
    )
    net = keras.Sequential([keras.Input((4,)), middle, layers.Dense(3)])
    x = rng.normal(size=(2, 4)).astype("float32")
    logits, features = FeatureTap(net, "middle/inner/deep", "teacher")(x)
    assert_close(features, inner.get_layer("deep")(x), atol=1e-6)
    assert_close(logits, net(x), atol=1e-6)


def test_inputs_that_are_dicts_stay_dicts(rng):
    inputs = {"tokens": keras.Input((5,), dtype="int32"), "mask": keras.Input((5,))}
    x = layers.Embedding(10, 4)(inputs["tokens"])
    x = layers.Multiply()([x, layers.Reshape((5, 1))(inputs["mask"])])
    x = layers.GlobalAveragePooling1D(name="pooled")(x)
    net = keras.Model(inputs, layers.Dense(3)(x))
    data = {
        "tokens": rng.integers(0, 10, (2, 5)),
        "mask": np.ones((2, 5), "float32"),
    }
    logits, features = FeatureTap(net, "pooled", "student")(data)
    assert tuple(features.shape) == (2, 4)
    assert_close(logits, net(data), atol=1e-6)


def test_training_reaches_the_model_unless_it_is_frozen():
    net = keras.Sequential(
        [keras.Input((64,)), layers.Dropout(0.5, name="drop"), layers.Dense(3)]
    )
    ones = np.ones((1, 64), "float32")
    dropped = FeatureTap(net, "drop", "teacher")(ones, training=True)[1]
    assert (ops.convert_to_numpy(dropped) == 0).any()
    net.trainable = False
    kept = FeatureTap(net, "drop", "teacher")(ones, training=True)[1]
    assert (ops.convert_to_numpy(kept) == 1).all()


def test_unknown_layers_are_listed():
    with pytest.raises(ValueError, match="one of .*stem.*stage.*with 'stages'"):
        FeatureTap(conv_net(3), "stages", "teacher")
    with pytest.raises(ValueError, match="'backbone', one of .*stem"):
        FeatureTap(conv_net(3, nested=True), "backbone/stages", "teacher")


def test_a_path_into_a_subclassed_model_is_refused():
    class Net(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="`teacher_features=None` for a subclassed"):
        FeatureTap(Net(), "stage", "teacher")


def test_several_outputs_are_refused():
    inputs = keras.Input((4,))
    net = keras.Model(inputs, [layers.Dense(3)(inputs), layers.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="one logits tensor"):
        FeatureTap(net, None, "teacher").spec()
