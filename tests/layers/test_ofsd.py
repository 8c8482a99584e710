import keras
import numpy as np
import pytest

from keras_c2kd import OFSD
from keras_c2kd.losses import c2kd_loss_terms


def test_is_the_function_with_its_settings(rng):
    logits = rng.normal(size=(4, 8, 5)).astype("float32")
    labels = np.arange(8) % 5
    settings = {"threshold": 0.2, "temperature": 2.0, "non_target": "zero_logit"}
    terms, expected = (
        OFSD(**settings)(labels, *logits),
        c2kd_loss_terms(labels, *logits, **settings),
    )
    for name in expected:
        np.testing.assert_array_equal(
            keras.ops.convert_to_numpy(terms[name]),
            keras.ops.convert_to_numpy(expected[name]),
        )


def test_float32_under_a_mixed_policy(rng):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = OFSD()
    finally:
        keras.config.set_dtype_policy("float32")
    # These rank apart in float32 and tie in bfloat16.
    logits = np.array([[1.0, 1.001, 1.002]], "float32")
    terms = layer(np.array([0]), logits, logits, logits, logits)
    assert float(terms["krc"][0]) == 1.0


def test_config_round_trip():
    layer = OFSD(threshold=-0.5, temperature=3.0, non_target="zero_logit", name="gate")
    config = keras.saving.serialize_keras_object(layer)
    assert keras.saving.deserialize_keras_object(config).get_config() == (
        layer.get_config()
    )
    assert layer.weights == []


@pytest.mark.parametrize(
    "settings",
    [
        {"threshold": 1.5},
        {"threshold": "0"},
        {"temperature": 0.0},
        {"temperature": float("inf")},
        {"non_target": "paper"},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}"):
        OFSD(**settings)
