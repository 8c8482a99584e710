"""fit -> save -> load, in this process, in a bare one, and across backends."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd import C2KD, OFSD
from keras_c2kd.callbacks import StudentCheckpoint
from tests.helpers import conv_net, distiller, pairs

BACKENDS = ["tensorflow", "jax", "torch"]


def run(code, *arguments, backend=None, cwd=None):
    """Run Python code in a fresh process and return what it prints."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["KERAS_BACKEND"] = backend or keras.config.backend()
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def settings(model):
    config = model.get_config()
    nested = ("teacher", "student", "teacher_proxy", "student_proxy", "ofsd", "dtype")
    return {name: value for name, value in config.items() if name not in nested}


def test_a_loaded_distiller_goes_on_exactly_where_it_was(tmp_path):
    # Without dropout: Keras does not keep the state of seed generators in a file.
    x, y = pairs()
    model = distiller(
        ofsd=OFSD(threshold=-0.2, temperature=2.0, non_target="zero_logit"),
        cross_modal_weight=0.5,
    )
    model.fit(x, y, batch_size=8, shuffle=False, epochs=2, verbose=0)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    assert settings(loaded) == settings(model)
    assert loaded.ofsd.get_config() == model.ofsd.get_config()
    for run_on in (model, loaded):
        run_on.fit(x, y, batch_size=8, shuffle=False, epochs=2, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    ours, theirs = (
        m.evaluate(x, y, return_dict=True, verbose=0) for m in (model, loaded)
    )
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(list(ours.values()), list(theirs.values()), rtol=1e-5)


@pytest.mark.parametrize("nested", [False, True])
def test_feature_taps_survive(tmp_path, rng, nested):
    path = "backbone/stage" if nested else "stage"
    nets = conv_net(1, nested=nested), conv_net(3, nested=nested)
    model = C2KD(*nets, "depth", "rgb", path, path)
    model.save(tmp_path / "run.keras")
    x = {
        "depth": rng.normal(size=(2, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(2, 8, 8, 3)).astype("float32"),
    }
    loaded = keras.models.load_model(tmp_path / "run.keras")
    ours, theirs = model(x), loaded(x)
    for name in ours:
        np.testing.assert_allclose(
            keras.ops.convert_to_numpy(ours[name]),
            keras.ops.convert_to_numpy(theirs[name]),
            atol=1e-6,
        )


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.body = keras.layers.Dense(8, activation="relu")
        self.head = keras.layers.Dense(3)

    def call(self, x):
        features = self.body(x)
        return {"logits": self.head(features), "features": features}


def test_subclassed_models_survive(tmp_path):
    x, y = pairs()
    model = C2KD(Subclassed(), Subclassed(), "depth", "rgb")
    model.compile("sgd", metrics=["accuracy"])
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    loaded.fit(x, y, verbose=0)


LOAD_STUDENT = """
import sys, keras, numpy as np
student = keras.models.load_model(sys.argv[1])
assert "keras_c2kd" not in sys.modules
print(student.predict(np.load(sys.argv[2]), verbose=0).tolist())
"""


def test_the_student_loads_with_keras_alone(tmp_path):
    x, y = pairs()
    model = distiller()
    checkpoint = StudentCheckpoint(tmp_path / "student.keras")
    model.fit(x, y, validation_data=(x, y), callbacks=[checkpoint], verbose=0)
    np.save(tmp_path / "rgb.npy", x["rgb"])
    printed = run(
        LOAD_STUDENT, tmp_path / "student.keras", tmp_path / "rgb.npy", cwd=tmp_path
    )
    np.testing.assert_allclose(
        np.array(eval(printed)), model.predict(x["rgb"], verbose=0), atol=1e-5
    )


OPEN_AND_GO_ON = """
import sys, keras, numpy as np, keras_c2kd
data = np.load(sys.argv[2])
model = keras.models.load_model(sys.argv[1])
x = {"depth": data["depth"], "rgb": data["rgb"]}
first = model.evaluate(x, data["labels"], batch_size=24, verbose=0, return_dict=True)
assert int(model.optimizer.iterations) == 3
model.fit(x, data["labels"], batch_size=8, shuffle=False, verbose=0)
last = model.evaluate(x, data["labels"], batch_size=24, verbose=0, return_dict=True)
print(first["loss"], last["loss"])
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_file_opens_on_every_backend_and_goes_on_alike(tmp_path, backend):
    """Saved on the active backend: the same loss there, and after three more steps."""
    pytest.importorskip(backend)
    x, y = pairs()
    model = distiller()
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    model.save(tmp_path / "run.keras")
    np.savez(tmp_path / "data.npz", labels=y, **x)
    paths = tmp_path / "run.keras", tmp_path / "data.npz"
    first, last = map(float, run(OPEN_AND_GO_ON, *paths, backend=backend).split())
    ours = model.evaluate(x, y, batch_size=24, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(first, ours, rtol=1e-5)
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    ours = model.evaluate(x, y, batch_size=24, verbose=0, return_dict=True)["loss"]
    np.testing.assert_allclose(last, ours, rtol=1e-5)
