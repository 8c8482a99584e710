"""Real conversions, each run by its own runtime in a fresh process."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd.export import (
    ExportError,
    depth_preprocessing,
    export_student,
    image_preprocessing,
    process,
    waveform_preprocessing,
)
from keras_c2kd.models import over_frames, segmenter, small_resnet
from tests.export.test_export import FORMATS, installed, names, tensorflow_only
from tests.helpers import dense_net

pytestmark = pytest.mark.slow


def photos(rng, *shape):
    return rng.integers(0, 256, shape).astype("uint8")


def test_all_formats_from_this_backend(tmp_path, rng):
    # On JAX and torch too: conversion is by TensorFlow, from the .keras file.
    installed()
    student = small_resnet((16, 16, 3), 5, scale=1 / 127.5, offset=-1.0)
    student.compile(keras.optimizers.Adam(), "mse")
    report = export_student(
        student,
        tmp_path,
        photos(rng, 4, 20, 30, 3),
        preprocessing=image_preprocessing(16),
    )
    assert list(report.files) == list(FORMATS)
    assert names(tmp_path) == sorted(FORMATS.values())
    for file in report.files.values():
        assert file.max_difference <= 1e-4 and file.agreement == 1.0
        assert file.size > 10_000 and file.latency_ms > 0
    # Other batch sizes, and other sizes of image than it was verified with.
    batches = [photos(rng, *shape) for shape in ((1, 31, 17, 3), (4, 64, 64, 3))]
    prepared = [np.asarray(image_preprocessing(16)(batch)) for batch in batches]
    expected = [np.asarray(student.predict_on_batch(x)) for x in prepared]
    for name, file in report.files.items():
        for ours, theirs in zip(
            run_alone(name, file.path, batches, tmp_path), expected, strict=True
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=name)


ALONE = {
    "keras": """
import keras
model = keras.models.load_model(path)
def run(x): return model.predict(x, verbose=0)
""",
    "savedmodel": """
import tensorflow as tf
model = tf.saved_model.load(path)
def run(x): return model.serve(x)
""",
    "onnx": """
import onnxruntime
session = onnxruntime.InferenceSession(path)
def run(x): return session.run(None, {"image": x})[0]
""",
    "litert": """
from ai_edge_litert.interpreter import Interpreter
runner = Interpreter(path).get_signature_runner()
def run(x): return runner(image=x)["output_0"]
""",
}


def run_alone(name, path, batches, folder):
    """With its runtime and NumPy, and nothing else."""
    np.savez(folder / "x.npz", *batches)
    code = (
        "import sys, numpy as np; sys.modules['keras_c2kd'] = None\n"
        "path, folder = sys.argv[1:]\n"
        f"{ALONE[name]}\n"
        "x = np.load(folder + '/x.npz').values()\n"
        "np.savez(folder + '/y.npz', *[np.asarray(run(batch)) for batch in x])\n"
        f"assert ('tensorflow' in sys.modules) <= {name in ('keras', 'savedmodel')}\n"
    )
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-P", "-c", code, str(path), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(np.load(folder / "y.npz").values())


def students(rng):
    scaled = {"scale": 1 / 127.5, "offset": -1.0}
    wave = (rng.normal(size=(4, 5000)) * 0.1).astype("float32")
    return {
        "depth": (
            small_resnet((16, 16, 1), 5),
            rng.uniform(0, 9, (4, 30, 20, 1)).astype("float32"),
            depth_preprocessing(16),
        ),
        "waveform": (
            small_resnet((65, 76, 1), 5, scale=0.1),
            wave,
            waveform_preprocessing(8000, 0.6, 128, 64),
        ),
        "clip": (
            over_frames(small_resnet((16, 16, 3), 5, **scaled), frames=3),
            photos(rng, 4, 3, 20, 30, 3),
            image_preprocessing(16, frames=3),
        ),
        "segmentation": (
            segmenter((24, 32, 3), 5, **scaled),
            photos(rng, 4, 60, 80, 3),
            image_preprocessing((24, 32), height=60, width=80, shrink="antialias"),
        ),
    }


@tensorflow_only
@pytest.mark.parametrize("kind", ["depth", "waveform", "clip", "segmentation"])
def test_inputs_of_each_kind(tmp_path, rng, kind):
    installed()
    student, samples, preprocessing = students(rng)[kind]
    formats = ["savedmodel", "onnx", "litert"]
    report = export_student(student, tmp_path, samples, formats, preprocessing)
    assert list(report.files) == formats


@tensorflow_only
def test_token_ids(tmp_path, rng):
    installed()
    pytest.importorskip("keras_hub")
    from keras_c2kd.models.text import text_encoder

    ids = rng.integers(1, 200, (4, 12))
    ids[:2, 7:] = 0
    report = export_student(text_encoder(12, 5, 200), tmp_path, ids)
    assert list(report.files) == list(FORMATS)


@tensorflow_only
@pytest.mark.parametrize("name", ["savedmodel", "onnx", "litert"])
def test_a_conversion_with_other_weights_is_caught(tmp_path, rng, name, monkeypatch):
    installed()
    student = dense_net(6)
    before = tmp_path / FORMATS[name]
    before.write_bytes(b"the one before")
    run = process.run_script

    def corrupted(script, name, source, *rest, **options):
        if script == "_convert.py":
            model = keras.models.load_model(source)
            weights = model.get_weights()
            weights[0][0, 0] += 1e-2  # one of all
            model.set_weights(weights)
            model.save(source)
        run(script, name, source, *rest, **options)

    monkeypatch.setattr(process, "run_script", corrupted)
    samples = rng.normal(size=(4, 6)).astype("float32")
    with pytest.raises(ExportError, match=f"{name}: Expected logits within 0.0001"):
        export_student(student, tmp_path, samples, [name])
    assert before.read_bytes() == b"the one before"
    assert names(tmp_path) == [before.name]


@tensorflow_only
def test_layers_of_ones_own_are_imported_by_name(tmp_path, rng, monkeypatch):
    (tmp_path / "own_layers.py").write_text(
        "import keras\n"
        "@keras.saving.register_keras_serializable(package='own')\n"
        "class Twice(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return 2.0 * x\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    from own_layers import Twice

    inputs = keras.Input((6,))
    student = keras.Model(inputs, keras.layers.Dense(3)(Twice()(inputs)))
    arguments = student, tmp_path / "out", rng.normal(size=(4, 6)), ["keras"]
    with pytest.raises(ExportError, match="`modules`.*Received: Twice"):
        export_student(*arguments)
    export_student(*arguments, modules=["own_layers"])
    assert names(tmp_path / "out") == ["student.keras"]
