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
    installed()
    # On JAX and torch too, from whose .keras file TensorFlow converts; what its own
    # SavedModel computes does not depend on them.
    formats = [f for f in FORMATS if f != "savedmodel" or keras.backend.backend() == TF]
    student = small_resnet((16, 16, 3), 5, scale=1 / 127.5, offset=-1.0)
    student.compile(keras.optimizers.Adam(), "mse")
    report = export_student(
        student,
        tmp_path,
        photos(rng, 4, 20, 30, 3),
        formats,
        preprocessing=image_preprocessing(16),
    )
    assert list(report.files) == formats
    assert names(tmp_path) == sorted(FORMATS[name] for name in formats)
    for file in report.files.values():
        assert file.max_difference <= 1e-4 and file.agreement == 1.0
        assert file.size > 10_000 and file.latency_ms > 0
    # Other batch sizes, and other sizes of image than it was verified with.
    batches = [photos(rng, *shape) for shape in ((1, 31, 17, 3), (4, 64, 64, 3))]
    prepared = [np.asarray(image_preprocessing(16)(batch)) for batch in batches]
    expected = [np.asarray(student.predict_on_batch(x)) for x in prepared]
    for name, logits in run_alone(report.files, batches, tmp_path).items():
        for ours, theirs in zip(logits, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4, err_msg=name)


TF = "tensorflow"
# In the order of what they need: TensorFlow is not there yet for those without it.
ALONE = """
import sys, numpy as np
sys.modules["keras_c2kd"] = None
folder, formats = sys.argv[1], dict(pair.split("=", 1) for pair in sys.argv[2:])
batches = list(np.load(folder + "/x.npz").values())

def onnx(path):
    import onnxruntime
    session = onnxruntime.InferenceSession(path)
    return lambda x: session.run(None, {"image": x})[0]

def litert(path):
    from ai_edge_litert.interpreter import Interpreter
    runner = Interpreter(path).get_signature_runner()
    return lambda x: runner(image=x)["output_0"]

def savedmodel(path):
    import tensorflow as tf
    model = tf.saved_model.load(path)
    run = lambda x: model.serve(x)
    run.model = model
    return run

def keras(path):
    import keras
    model = keras.models.load_model(path)
    return lambda x: model.predict(x, verbose=0)

for load in (onnx, litert, savedmodel, keras):
    if load.__name__ in formats:
        run = load(formats[load.__name__])
        logits = [np.asarray(run(batch)) for batch in batches]
        assert load not in (onnx, litert) or "tensorflow" not in sys.modules
        np.savez(folder + f"/{load.__name__}.npz", *logits)
"""


def run_alone(files, batches, folder):
    """Each with its runtime and NumPy, and nothing else."""
    np.savez(folder / "x.npz", *batches)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    paths = [f"{name}={file.path}" for name, file in files.items()]
    command = [sys.executable, "-P", "-c", ALONE, str(folder), *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return {name: list(np.load(folder / f"{name}.npz").values()) for name in files}


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
    # For LiteRT it is traced as for a SavedModel; one of them is run as well.
    formats = ["savedmodel"] * (kind == "segmentation") + ["onnx", "litert"]
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
def test_a_conversion_with_other_weights_is_caught(tmp_path, rng, monkeypatch):
    installed()
    student, formats = dense_net(6), ["savedmodel", "onnx", "litert"]
    before = [tmp_path / FORMATS[name] for name in formats]
    for path in before:
        path.write_bytes(b"the one before")
    run = process.run_script

    def corrupted(script, source, *rest, **options):
        if script == "_convert.py":
            model = keras.models.load_model(source)
            weights = model.get_weights()
            weights[0][0, 0] += 1e-2  # one of all
            model.set_weights(weights)
            model.save(source)
        run(script, source, *rest, **options)

    monkeypatch.setattr(process, "run_script", corrupted)
    samples = rng.normal(size=(4, 6)).astype("float32")
    with pytest.raises(ExportError) as error:
        export_student(student, tmp_path, samples, formats)
    for name in formats:
        words = error.value.report.failures[name]
        assert words.startswith("Expected logits within 0.0001"), name
    assert all(path.read_bytes() == b"the one before" for path in before)
    assert names(tmp_path) == sorted(path.name for path in before)


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
