"""Text encoders on token ids: from scratch, and on backbones of keras-hub."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd import C2KD
from keras_c2kd.models import small_resnet

keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")

from keras_c2kd.models.text import text_classifier, text_encoder  # noqa: E402

IDS = np.array([[5, 6, 7, 0, 0, 0], [8, 9, 10, 11, 12, 13], [0] * 6], "int32")
SIZES = {
    "vocabulary_size": 20,
    "num_layers": 1,
    "num_heads": 2,
    "hidden_dim": 8,
    "intermediate_dim": 16,
    "max_sequence_length": 8,
}


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A tiny BERT in a folder, as keras-hub saves one."""
    folder = tmp_path_factory.mktemp("presets") / "bert"
    backbone = keras_hub.models.BertBackbone(**SIZES)
    backbone.save_to_preset(folder)
    return str(folder), backbone


def small(name=None):
    return text_encoder(6, 3, 20, width=8, depth=1, name=name)


@pytest.mark.parametrize("kind", ["from scratch", "BERT"])
def test_what_pads_a_text_does_not_change_it(kind, preset):
    def build(length):
        if kind == "BERT":
            return text_classifier(preset[0], length, 3)
        return text_encoder(length, 3, 20, width=8, depth=2)

    long, short = build(6), build(3)
    for ours, theirs in zip(short.weights, long.weights, strict=True):
        theirs = keras.ops.convert_to_numpy(theirs)
        ours.assign(theirs[: ours.shape[0]] if theirs.ndim else theirs)
    padded = long.predict(IDS[:1], verbose=0)
    np.testing.assert_allclose(
        padded, short.predict(IDS[:1, :3], verbose=0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_empty_text_has_finite_logits_and_gradients(policy, preset):
    keras.mixed_precision.set_global_policy(policy)
    try:
        for model in (small(), text_classifier(preset[0], 6, 3)):
            logits = model.predict(IDS, verbose=0)
            assert logits.dtype == "float32" and np.isfinite(logits).all()
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile("sgd", loss)
            model.fit(IDS, np.arange(3), verbose=0)
            assert np.isfinite(model.predict(IDS, verbose=0)).all()
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_it_learns_which_words_matter(rng):
    ids = rng.integers(4, 20, (96, 6)).astype("int32")
    labels = rng.integers(0, 3, 96)
    ids[np.arange(96), rng.integers(0, 6, 96)] = 1 + labels
    model = text_encoder(6, 3, 20, width=8, depth=1, dropout=0.0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    history = model.fit(ids, labels, batch_size=16, epochs=25, verbose=0)
    assert history.history["accuracy"][-1] > 0.8


def test_sgd_leaves_chance_also_under_a_loss_that_distillation_has_made_larger(rng):
    # With embeddings as small as keras-hub's own it does not.
    ids = rng.integers(12, 200, (512, 8)).astype("int32")
    labels = rng.integers(0, 8, 512)
    ids[np.arange(512), rng.integers(0, 8, 512)] = 1 + labels
    keras.utils.set_random_seed(0)
    model = text_encoder(8, 8, 200, width=32)
    model.compile(
        keras.optimizers.SGD(0.04, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        loss_weights=3.0,
        metrics=["accuracy"],
    )
    history = model.fit(ids, labels, batch_size=32, epochs=5, verbose=0)
    assert history.history["accuracy"][-1] > 0.8


def test_a_preset_brings_its_weights_and_its_outputs(preset):
    folder, backbone = preset
    model = text_classifier(folder, 6, 3, name="teacher")
    outputs = backbone.predict(
        {
            "token_ids": IDS[:2],
            "padding_mask": (IDS[:2] != 0).astype("int32"),
            "segment_ids": np.zeros_like(IDS[:2]),
        },
        verbose=0,
    )["sequence_output"]
    features = keras.Model(model.input, model.get_layer("features").output)
    expected = [outputs[0, :3].mean(axis=0), outputs[1].mean(axis=0)]
    ours = features.predict(IDS[:2], verbose=0)
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["DistilBertBackbone", "RobertaBackbone"])
def test_other_backbones_are_taken(name):
    backbone = getattr(keras_hub.models, name)(**SIZES)
    logits = text_classifier(backbone, 6, 3).predict(IDS, verbose=0)
    assert logits.shape == (3, 3) and np.isfinite(logits).all()


def test_longer_texts_and_other_backbones_are_refused(preset):
    with pytest.raises(ValueError, match="at most 8.*Received: length=9"):
        text_classifier(preset[0], 9, 3)
    vgg = keras_hub.models.VGGBackbone([1], [4], image_shape=(16, 16, 3))
    with pytest.raises(ValueError, match="a text backbone.*VGGBackbone"):
        text_classifier(vgg, 6, 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["from scratch", "BERT"])
def test_as_student_it_is_saved_and_loads_where_keras_hub_is_imported(
    kind, preset, tmp_path, rng
):
    student = small("s") if kind != "BERT" else text_classifier(preset[0], 6, 3, "s")
    model = C2KD(
        small_resnet((16, 16, 3), 3, name="teacher"),
        student,
        teacher_modality="image",
        student_modality="text",
        teacher_features="stage3",
        student_features="features",
    )
    model.compile("sgd", metrics=["accuracy"])
    images = rng.normal(size=(6, 16, 16, 3)).astype("float32")
    ids = IDS.repeat(2, axis=0)
    model.fit({"image": images, "text": ids}, np.arange(6) % 3, verbose=0)
    expected = model.predict(ids, verbose=0)
    assert np.isfinite(expected).all()
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    np.testing.assert_allclose(loaded.predict(ids, verbose=0), expected, atol=1e-5)
    model.student.save(tmp_path / "student.keras")
    np.save(tmp_path / "ids.npy", ids)
    program = """
import sys, keras, keras_hub, numpy as np
folder = sys.argv[1]
model = keras.models.load_model(folder + "/student.keras")
np.save(folder + "/out.npy", model.predict(np.load(folder + "/ids.npy"), verbose=0))
assert not [name for name in sys.modules if name.startswith("keras_c2kd")]
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_models_bring_neither_keras_hub_nor_tensorflow(backend):
    pytest.importorskip(backend)
    program = """
import sys
import numpy as np
sys.modules.update(dict.fromkeys(["tensorflow", "keras_cv"]))  # ImportError from now
import keras_c2kd, keras_c2kd.models, keras_c2kd.models.hub, keras_c2kd.models.text
assert "keras_hub" not in sys.modules
model = keras_c2kd.models.text.text_encoder(6, 3, 20, width=8, depth=1)
assert model.predict(np.ones((1, 6), "int32"), verbose=0).shape == (1, 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
