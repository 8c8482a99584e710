"""A file is in place only when its own runtime computes what the student does."""

from pathlib import Path

import keras
import numpy as np
import pytest

from keras_c2kd.export import ExportError, export_student, image_preprocessing
from keras_c2kd.export import process as fresh
from keras_c2kd.export.deployed import logits_of
from tests.helpers import conv_net, dense_net

tensorflow_only = pytest.mark.skipif(
    keras.config.backend() != "tensorflow", reason="the same on every backend"
)
FORMATS = {
    "keras": "student.keras",
    "savedmodel": "student_savedmodel",
    "onnx": "student.onnx",
    "litert": "student.tflite",
}


def installed():
    for package in ("tensorflow", "tf2onnx", "onnxruntime", "ai_edge_litert"):
        pytest.importorskip(package)


@pytest.fixture
def samples(rng):
    return rng.normal(size=(5, 6)).astype("float32")


@pytest.fixture
def fake(monkeypatch):
    """Processes that do at once what real ones would; `change` spoils outputs."""

    class Fake:
        change = staticmethod(lambda logits: logits)
        convert = staticmethod(lambda name, target: target.write_bytes(b"converted"))

        def __call__(self, script, *arguments, modules=()):
            if script == "_convert.py":
                for pair in arguments[2:]:
                    name, target = pair.split("=", 1)
                    self.calls.append(name)
                    self.convert(name, Path(target))
                return
            _, source, batches, found, _ = arguments
            model = keras.models.load_model(source.with_name("model.keras"))
            with np.load(batches) as file:
                inputs = [file[key] for key in file.files]
            logits = [np.array(model.predict_on_batch(x)) for x in inputs]
            logits = self.change(np.concatenate(logits))
            np.savez(found, alone=logits[:1], logits=logits, latency_ms=0.5)

    fake = Fake()
    fake.calls = []
    monkeypatch.setattr(fresh, "run_script", fake)
    return fake


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_verified_is_put_in_place(tmp_path, samples, fake):
    student = dense_net(6)
    report = export_student(
        student, tmp_path / "new", samples, ["keras"], labels=[0] * 5
    )
    file = report.files["keras"]
    assert names(tmp_path / "new") == ["student.keras"]
    assert file.path == tmp_path / "new" / "student.keras"
    assert file.size == file.path.stat().st_size and file.latency_ms == 0.5
    assert file.max_difference < 1e-6 and file.agreement == 1.0
    assert file.accuracy == report.accuracy
    assert report.to_dict()["files"]["keras"]["path"] == str(file.path)
    loaded = keras.models.load_model(file.path)
    assert not loaded.compiled
    np.testing.assert_allclose(
        loaded.predict(samples, verbose=0), student.predict(samples, verbose=0)
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda logits: logits + 2e-4,
        lambda logits: logits * np.nan,
        lambda logits: logits[:, :2],
        lambda logits: np.concatenate([logits[:1] + 1, logits[1:]]),
    ],
    ids=["shifted", "nan", "of another shape", "one sample"],
)
def test_what_computes_something_else_is_not(tmp_path, samples, fake, change):
    (tmp_path / "student.keras").write_bytes(b"the one before")
    fake.change = change
    with pytest.raises(ExportError, match="keras: Expected logits within 0.0001") as e:
        export_student(dense_net(6), tmp_path, samples, ["keras"])
    assert names(tmp_path) == ["student.keras"]
    assert (tmp_path / "student.keras").read_bytes() == b"the one before"
    assert e.value.report.files == {}


def test_one_that_fails_does_not_stop_the_others(tmp_path, samples, fake):
    installed()

    def fail_on_onnx(name, target):
        if name == "onnx":
            raise RuntimeError("its process was ended by signal 6")
        target.write_bytes(b"converted")

    fake.convert = fail_on_onnx
    formats = ["savedmodel", "onnx", "litert"]
    with pytest.raises(ExportError) as error:
        export_student(dense_net(6), tmp_path, samples, formats)
    assert str(error.value) == (
        "onnx: its process was ended by signal 6 (in place: savedmodel, litert)"
    )
    assert names(tmp_path) == ["student.tflite", "student_savedmodel"]
    assert "onnx: its process" in str(error.value.report)
    # Together until one fails; then those that are left, each alone.
    assert fake.calls == ["savedmodel", "onnx", "onnx", "litert"]


def test_what_a_killed_process_left_goes_away(tmp_path, samples, fake):
    aside = tmp_path / ".export.writing"
    aside.mkdir()
    (aside / "student.onnx").write_bytes(b"half")
    export_student(dense_net(6), tmp_path, samples, ["keras"])
    assert names(tmp_path) == ["student.keras"]


def test_a_folder_replaces_a_folder(tmp_path, samples, fake):
    installed()

    def folder(name, target):
        target.mkdir()
        (target / "new").touch()

    fake.convert = folder
    before = tmp_path / "student_savedmodel"
    before.mkdir()
    (before / "old").touch()
    export_student(dense_net(6), tmp_path, samples, "savedmodel")
    assert names(before) == ["new"] and names(tmp_path) == ["student_savedmodel"]


def test_samples_of_several_sizes_and_dtypes(tmp_path, rng, fake):
    student, inputs = conv_net(3), image_preprocessing(8)
    sizes = [(9, 10), (8, 8), (5, 20)]
    images = [rng.integers(0, 256, (*s, 3)).astype("uint8") for s in sizes]
    export_student(student, tmp_path, images, ["keras"], inputs)
    # Of one size, they are one array; int64 fits int32, uint8 fits float32.
    export_student(student, tmp_path, [images[1]] * 20, ["keras"])
    ids = keras.Input((4,), dtype="int32")
    text = keras.Model(ids, keras.layers.Dense(2)(keras.ops.cast(ids, "float32")))
    export_student(text, tmp_path, np.ones((3, 4), "int64"), ["keras"])


def test_prepared_samples_prove_the_preprocessing(tmp_path, rng, fake):
    images = rng.integers(0, 256, (4, 8, 8, 3)).astype("uint8")
    as_trained = images.astype("float32")
    arguments = conv_net(3), tmp_path, images, ["keras"], image_preprocessing(8)
    report = export_student(*arguments, prepared=as_trained)
    assert report.preprocessing_difference < 1e-4
    with pytest.raises(ValueError, match="Expected `preprocessing` to make"):
        export_student(*arguments, prepared=as_trained / 255)


def test_subclassed_students_that_return_features(tmp_path, samples, fake):
    @keras.saving.register_keras_serializable(package="tests_export")
    class Own(keras.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.head = keras.layers.Dense(3)

        def call(self, x):
            return {"logits": self.head(x), "features": x}

    report = export_student(Own(), tmp_path, samples, ["keras"])
    assert report.files["keras"].max_difference < 1e-6


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"formats": ["keras", "tflite"]}, "Received: formats=.*tflite"),
        ({"formats": []}, "Received: formats"),
        ({"student": "student.keras"}, "Received: str"),
        ({"samples": np.zeros((0, 6))}, r"Received: shape \(0, 6\)"),
        ({"samples": np.zeros((2, 5))}, r"Received: shape \(5,\), dtype float64"),
        ({"samples": np.zeros((2, 6), complex)}, "dtype complex128"),
        ({"samples": [np.zeros(6), np.zeros(5)]}, r"Received: shape \(5,\)"),
        ({"labels": [0, 1]}, r"Received: int64 of shape \(2,\)"),
        ({"labels": [0.5] * 5}, "Received: float64"),
        ({"preprocessing": lambda x: x}, "Received: function"),
    ],
)
def test_bad_arguments_are_named_before_anything_is_written(
    tmp_path, samples, change, sentence
):
    arguments = {
        "student": dense_net(6),
        "folder": tmp_path / "new",
        "samples": samples,
        "formats": ["keras"],
    }
    with pytest.raises(ValueError, match=sentence):
        export_student(**{**arguments, **change})
    assert not (tmp_path / "new").exists()


def test_students_that_cannot_be_shipped_are_named(tmp_path, samples):
    two = [keras.Input((6,)), keras.Input((6,))]
    with pytest.raises(ValueError, match="Received: 2 inputs"):
        export_student(
            keras.Model(two, keras.layers.add(two)), tmp_path, samples, ["keras"]
        )
    one = keras.Input((6,))
    with pytest.raises(ValueError, match="Expected a student that returns logits"):
        export_student(keras.Model(one, [one * 1, one * 2]), tmp_path, samples)
    mixed = keras.Model(one, keras.layers.Dense(3, dtype="mixed_bfloat16")(one))
    with pytest.raises(ValueError, match="in_float32.*Received: 1 layers"):
        export_student(mixed, tmp_path, samples)
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_is_missing_is_named(tmp_path, samples, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name == "onnxruntime" else find(name, *rest),
    )
    with pytest.raises(ImportError, match=r"onnxruntime .*keras_c2kd\[export\]"):
        export_student(dense_net(6), tmp_path / "new", samples, ["keras", "onnx"])
    assert not (tmp_path / "new").exists()


def test_a_process_says_in_one_sentence_why_it_failed():
    installed()
    with pytest.raises(RuntimeError, match=r"^\w*Error: .*nowhere.tflite"):
        fresh.run_script("_check.py", "litert", "nowhere.tflite", "x", "y", 1)


def test_a_process_that_hangs_is_ended(monkeypatch):
    monkeypatch.setattr(fresh, "MINUTES", 0.001)
    with pytest.raises(RuntimeError, match=r"_check.py\) to end within 0.001 minutes"):
        fresh.run_script("_check.py", "keras", "nowhere.keras", "x", "y", 1)


def in_full_float32():
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return not tf.config.experimental.tensor_float_32_execution_enabled()
    if keras.config.backend() == "jax":
        import jax

        return jax.config.jax_default_matmul_precision == "highest"
    import torch

    whole = torch.get_float32_matmul_precision() == "highest"
    return whole and not torch.backends.cudnn.enabled


def test_what_files_are_compared_with_is_not_rounded(samples):
    seen = []

    class Spy(keras.layers.Layer):
        def call(self, x):
            seen.append(in_full_float32())
            return x

    inputs = keras.Input((6,))
    model = keras.Model(inputs, Spy()(inputs))
    seen.clear()
    np.testing.assert_array_equal(logits_of(model, [samples, samples[:2]])[:5], samples)
    assert seen and all(seen) and not in_full_float32()
