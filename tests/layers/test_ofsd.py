import keras
import numpy as np
import pytest
import scipy.stats

from keras_c2kd import OFSD
from keras_c2kd.losses import DIST, DKD, DML, KD, NKD, c2kd_loss_terms


def test_is_the_function_with_its_settings(rng):
    logits = rng.normal(size=(4, 8, 5)).astype("float32")
    labels = np.arange(8) % 5
    settings = {"threshold": 0.2, "temperature": 2.0, "non_target": "zero_logit"}
    settings["select"] = "sample"
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
    layer = OFSD(-0.5, 3.0, "zero_logit", select="sample", name="gate")
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
        {"select": "image"},
    ],
)
def test_settings_out_of_range_are_refused(settings):
    ((name, value),) = settings.items()
    with pytest.raises(ValueError, match=f"Received: {name}={value!r}"):
        OFSD(**settings)


@pytest.mark.parametrize("inner", [OFSD(), OFSD(loss=KD())], ids=["alone", "around"])
def test_a_selection_of_a_selection_is_refused(inner):
    with pytest.raises(ValueError, match="not select .* itself. Received: loss=<OFSD"):
        OFSD(loss=inner)


# === Around another loss ===

SELECTIONS = {
    "krc": lambda krc, correct: krc > 0.0,
    "top_fraction": lambda krc, correct: krc >= np.sort(krc)[-6],  # 0.3 of 20
    "both_correct": lambda krc, correct: correct,
    "all": lambda krc, correct: np.ones(len(krc), bool),
}


@pytest.mark.parametrize(
    "loss", [KD(), DKD(), NKD(), DIST(), DML()], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize("rule", SELECTIONS)
def test_a_loss_sees_the_selected_samples_alone(rng, rule, loss):
    teacher = rng.normal(size=(20, 6)).astype("float32")
    student = (0.5 * teacher + rng.normal(size=(20, 6))).astype("float32")
    labels = np.where(np.arange(20) % 3 > 0, teacher.argmax(-1), student.argmax(-1))
    weight = rng.random(20).astype("float32")
    rows = zip(teacher, student, strict=True)
    krc = np.array([scipy.stats.kendalltau(*row).statistic for row in rows])
    correct = (teacher.argmax(-1) == labels) & (student.argmax(-1) == labels)
    selected = SELECTIONS[rule](krc, correct)
    assert selected.sum() in range(4, 17) or rule == "all"
    ofsd = OFSD(rule=rule, fraction=0.3, loss=loss)
    for given, expected in ((None, selected), (weight, weight * selected)):
        np.testing.assert_allclose(
            float(ofsd.compute_loss(teacher, student, labels, given)),
            float(loss.compute_loss(teacher, student, labels, np.float32(expected))),
            rtol=1e-6,
        )


def test_select_sample_lets_all_or_none_of_an_image_cross(rng):
    logits = rng.normal(size=(4, 6, 3, 4, 5)).astype("float32")
    logits[3] += logits[2] * np.linspace(-2, 2, 6).reshape(6, 1, 1, 1)
    labels = rng.integers(0, 5, (6, 3, 4))
    by_pixel, by_image = (
        keras.ops.convert_to_numpy(OFSD(select=select)(labels, *logits)["selected"])
        for select in ("position", "sample")
    )
    assert by_image.shape == by_pixel.shape == (6, 3, 4)
    shares = by_image.mean(axis=(1, 2))
    assert set(shares) == {0.0, 1.0}
    assert ((by_pixel.mean(axis=(1, 2)) % 1) > 0).any()


def test_a_layer_saved_before_there_was_a_choice_selects_positions():
    config = OFSD().get_config()
    del config["select"]
    assert OFSD.from_config(config).select == "position"
