"""int8: what Keras and LiteRT make of a student, and what it costs."""

import keras
import numpy as np
import pytest

from keras_c2kd.export import ExportError, export_student, quantize_student
from keras_c2kd.models import small_resnet
from tests.export.test_export import installed, tensorflow_only
from tests.helpers import dense_net


@pytest.fixture
def learned(rng):
    """A student that has learned three well separated classes."""
    labels = np.arange(96) % 3
    means = 4 * rng.normal(size=(3, 6))
    x = (means[labels] + rng.normal(size=(96, 6))).astype("float32")
    student = dense_net(6, hidden=512)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    student.compile(keras.optimizers.Adam(0.02), loss)
    student.fit(x, labels, epochs=10, verbose=0)
    return student, x, labels


def test_the_cost_of_int8_is_reported_and_the_student_stays(learned):
    student, x, labels = learned
    before = student.get_weights()
    report = quantize_student(student, x, labels)
    assert report.accuracy_before > 0.9 and report.agreement > 0.9
    assert abs(report.accuracy_after - report.accuracy_before) < 0.1
    assert report.layers == ("features", "logits") and report.share == 1.0
    assert report.student.get_layer("features").dtype_policy.quantization_mode == "int8"
    for a, b in zip(before, student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    accuracy = np.mean(student.predict(x, verbose=0).argmax(-1) == labels)
    assert report.accuracy_before == pytest.approx(accuracy)


def test_of_a_resnet_only_the_head_is_int8(rng):
    student = small_resnet((16, 16, 3), 5)
    x = rng.uniform(size=(4, 16, 16, 3)).astype("float32")
    report = quantize_student(student, x, [0, 1, 2, 3])
    assert report.layers == ("logits",) and report.share < 0.02


def test_nothing_to_quantize_is_said():
    inputs = keras.Input((6,))
    student = keras.Model(inputs, keras.layers.ReLU()(inputs))
    with pytest.raises(ValueError, match="Received: layers InputLayer, ReLU"):
        quantize_student(student, np.zeros((2, 6)), [0, 1])


def test_labels_that_do_not_fit_are_said(learned):
    student, x, labels = learned
    with pytest.raises(ValueError, match=r"Expected `labels`.*shape \(96,\)"):
        quantize_student(student, x, labels[:3])


def test_void_labels_count_for_nothing(learned):
    student, x, labels = learned
    whole = quantize_student(student, x, labels)
    labels = np.where(np.arange(96) < 48, labels, np.where(labels == 0, 255, -1))
    half = quantize_student(student, x, labels)
    first = student.predict(x[:48], verbose=0).argmax(-1)
    assert half.accuracy_before == np.mean(first == labels[:48])
    assert half.agreement == whole.agreement


@pytest.mark.slow
@tensorflow_only
def test_files_of_int8(tmp_path, learned):
    installed()
    student, x, labels = learned
    formats = ["keras", "savedmodel", "litert"]
    report = export_student(student, tmp_path, x, formats, labels=labels, int8=True)
    assert {file.path.stem for file in report.files.values()} == {
        "student_int8",
        "student_int8_savedmodel",
    }
    for file in report.files.values():
        assert 1e-5 < file.max_difference and file.agreement > 0.9
        assert abs(file.accuracy - report.accuracy) < 0.1


@pytest.mark.slow
@tensorflow_only
def test_litert_quantizes_convolutions(tmp_path, rng):
    installed()
    student = small_resnet((32, 32, 3), 5, scale=1 / 127.5, offset=-1.0)
    x = rng.uniform(0, 255, (4, 32, 32, 3)).astype("float32")
    before = tmp_path / "student.tflite"
    before.write_bytes(b"of float32")
    try:
        report = export_student(student, tmp_path, x, ["litert"], int8=True)
    except ExportError as error:  # an untrained student may be of two minds
        pytest.skip(str(error))
    assert report.files["litert"].size < 4 * student.count_params() / 3
    assert before.read_bytes() == b"of float32"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "student.tflite",
        "student_int8.tflite",
    ]


@pytest.mark.slow
@tensorflow_only
def test_text_of_keras_hub_is_int8_in_all_but_keras(tmp_path, rng):
    installed()
    pytest.importorskip("keras_hub")
    from keras_c2kd.models.text import text_encoder

    ids = rng.integers(1, 200, (4, 12))
    with pytest.raises(ExportError, match='Expected int8 in the formats "savedmodel"'):
        export_student(text_encoder(12, 5, 200), tmp_path, ids, ["keras"], int8=True)
    assert not list(tmp_path.iterdir())
