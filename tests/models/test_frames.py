import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd import C2KD
from keras_c2kd.models import resnet, small_resnet
from keras_c2kd.models.frames import over_frames


@pytest.fixture
def encoder(rng):
    encoder = resnet((16, 16, 3), 4, (4, 6, 8), (1, 1, 1), scale=1 / 255.0)
    # Values that were trained: fresh moving statistics would hide a mistake.
    encoder.set_weights(
        [w + rng.uniform(0, 0.3, w.shape) for w in encoder.get_weights()]
    )
    return encoder


@pytest.fixture
def clips(rng):
    return rng.uniform(0, 255, (2, 3, 16, 16, 3)).astype("float32")


def predict(model, x):
    return model.predict(x, verbose=0)  # compiled once, which JAX needs


def test_logits_are_the_mean_over_the_frames(encoder, clips):
    model = over_frames(encoder, frames=3)
    each = np.stack([predict(encoder, clips[:, t]) for t in range(3)])
    np.testing.assert_allclose(
        predict(model, clips), each.mean(axis=0), rtol=1e-5, atol=1e-5
    )


def test_the_tap_has_the_frames_in_order(encoder, clips):
    model = over_frames(encoder, frames=3, taps=("stage2", "stage3"))
    for name in ("stage2", "stage3"):
        tap = keras.Model(encoder.input, encoder.get_layer(name).output)
        each = np.stack([predict(tap, clips[:, t]) for t in range(3)], axis=1)
        tap = keras.Model(model.input, model.get_layer(name).output)
        np.testing.assert_allclose(predict(tap, clips), each, rtol=1e-5, atol=1e-5)


def test_a_batch_of_one_and_one_frame_work(encoder, clips):
    for frames in (1, 3):
        model = over_frames(encoder, frames=frames)
        assert predict(model, clips[:1, :frames]).shape == (1, 4)
    np.testing.assert_allclose(
        predict(over_frames(encoder, 1), clips[:, :1]),
        predict(encoder, clips[:, 0]),
        rtol=1e-5,
        atol=1e-5,
    )


def test_the_encoder_is_copied(encoder, clips):
    before = predict(encoder, clips[:, 0])
    model = over_frames(encoder, frames=3)
    assert model.count_params() == encoder.count_params()
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    np.testing.assert_array_equal(predict(encoder, clips[:, 0]), before)
    assert encoder.get_layer("stage3").output.shape == (None, 2, 2, 8)


def test_it_is_flat_and_saves(encoder, clips, tmp_path):
    model = over_frames(encoder, frames=3)
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    model.save(tmp_path / "student.keras")
    loaded = keras.models.load_model(tmp_path / "student.keras")
    np.testing.assert_allclose(
        predict(loaded, clips), predict(model, clips), rtol=1e-6, atol=1e-6
    )
    assert loaded.get_layer("stage3").output.shape == (None, 3, 2, 2, 8)


@pytest.mark.slow
def test_it_loads_with_keras_alone(encoder, clips, tmp_path):
    model = over_frames(encoder, frames=3)
    model.save(tmp_path / "student.keras")
    np.save(tmp_path / "clips.npy", clips)
    np.save(tmp_path / "logits.npy", predict(model, clips))
    program = """
import sys, keras, numpy as np
model = keras.models.load_model("student.keras")
logits = model.predict(np.load("clips.npy"), verbose=0)
assert not any(name.startswith("keras_c2kd") for name in sys.modules)
np.testing.assert_allclose(logits, np.load("logits.npy"), rtol=1e-4, atol=1e-5)
"""
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)


def test_it_learns_as_a_student(encoder, clips, rng):
    student = over_frames(small_resnet((16, 16, 3), 4), frames=3)
    model = C2KD(
        encoder,
        student,
        teacher_modality="image",
        student_modality="frames",
        teacher_features="stage3",
        student_features="stage3",
    )
    model.compile("sgd")
    inputs = {"image": clips[:, 0], "frames": clips}
    history = model.fit(inputs, np.array([0, 3]), epochs=2, batch_size=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert tuple(student.predict(clips, verbose=0).shape) == (2, 4)


def test_logits_are_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = over_frames(small_resnet((16, 16, 3), 4), frames=2)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("stage3").output.dtype == "bfloat16"


def test_it_names_what_is_wrong(encoder):
    with pytest.raises(ValueError, match="Received: frames=0"):
        over_frames(encoder, frames=0)
    with pytest.raises(ValueError, match="stage1, .*Received: taps=.'stage9',."):
        over_frames(encoder, frames=2, taps=("stage9",))
    vectors = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)])
    with pytest.raises(ValueError, match=r"Received: shapes \[\(None, 5\)"):
        over_frames(vectors, frames=2, taps=())
