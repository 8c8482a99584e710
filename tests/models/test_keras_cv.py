"""Backbones of keras-cv's last release as teacher and as student."""

import keras
import numpy as np
import pytest

from keras_c2kd import C2KD

keras_cv = pytest.importorskip("keras_cv", reason="keras-cv is not installed")


def classifier(channels, name):
    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 8],
        stackwise_blocks=[1, 1],
        stackwise_strides=[1, 2],
        block_type="basic_block",
        input_shape=(16, 16, channels),
        include_rescaling=False,
    )
    features = keras.layers.Identity(name="stage2")(backbone.output)
    x = keras.layers.GlobalAveragePooling2D()(features)
    logits = keras.layers.Dense(3, name="logits")(x)
    return keras.Model(backbone.input, logits, name=name)


def test_it_teaches_and_learns_and_is_saved(tmp_path, rng):
    model = C2KD(
        classifier(1, "teacher"),
        classifier(3, "student"),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage2",
        student_features="stage2",
    )
    model.compile("sgd", metrics=["accuracy"])
    data = {
        name: rng.normal(size=(8, 16, 16, channels)).astype("float32")
        for name, channels in (("depth", 1), ("rgb", 3))
    }
    history = model.fit(data, np.arange(8) % 3, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    before = model.predict(data["rgb"], verbose=0)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    np.testing.assert_allclose(
        loaded.predict(data["rgb"], verbose=0), before, atol=1e-5
    )
    model.student.save(tmp_path / "student.keras")
    student = keras.models.load_model(tmp_path / "student.keras")
    np.testing.assert_allclose(
        student.predict(data["rgb"], verbose=0), before, atol=1e-5
    )
