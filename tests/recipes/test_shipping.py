"""What --export takes from a run, and what it leaves where a format fails."""

from types import SimpleNamespace

import numpy as np
import pytest
import shipping
import tasks
from absl.testing import flagsaver
from recipe import FLAGS

from keras_c2kd import export
from keras_c2kd.data import Decoded, NyuLabels, Rgb, Spectrogram
from keras_c2kd.data.samples import Samples
from keras_c2kd.data.store import from_memory
from keras_c2kd.export import ExportedFile, ExportError, ExportReport

SOUND = Spectrogram(1000, 0.5, window=32, hop=16, stored_seconds=1.0)


@pytest.fixture(autouse=True)
def _flags():
    with flagsaver.flagsaver():
        FLAGS(["test", "--teacher=rgb", "--student=audio", "--export=keras,onnx"])
        yield


def data(count=9, without=()):
    """Sounds and pictures, some without sound; the label is the position."""
    rng = np.random.default_rng(0)
    arrays = {
        "rgb": rng.integers(0, 256, (count, 8, 8, 3), dtype="uint8"),
        "audio": rng.integers(-9000, 9000, (count, 1000)).astype("int16"),
    }
    there = ~np.isin(np.arange(count), without)
    present = {"audio": there} if len(without) else {}
    ids, labels = tuple(map(str, range(count))), np.arange(count, dtype="int32")
    samples = Samples(ids, {}, labels, ("a",) * count, (), present)
    modalities = {"rgb": Rgb(8), "audio": SOUND}
    part = Decoded(samples, modalities, [], "memory", from_memory(arrays, count))
    parts = dict.fromkeys(("train", "test"), part)
    return SimpleNamespace(parts=parts, modalities=modalities), arrays


def test_samples_are_those_that_have_the_students_modality():
    found, arrays = data(without=(0, 4))
    for most, expected in ((128, [1, 2, 3, 5, 6, 7, 8]), (3, [1, 2, 3])):
        decoded, prepared, labels = shipping.test_samples(found, most)
        assert labels.tolist() == expected
        np.testing.assert_array_equal(decoded, arrays["audio"][expected])
        assert prepared.shape == (len(expected), *SOUND.input_shape)


def test_sound_is_shipped_as_users_have_it():
    found, arrays = data()
    decoded, prepared, _ = shipping.test_samples(found)
    waves = shipping.as_users_have_it(decoded)
    assert waves.dtype == "float32" and np.abs(waves).max() <= 1.0
    preprocessing = export.preprocessing_for(SOUND)
    heard = preprocessing.predict_on_batch(waves)
    np.testing.assert_allclose(heard, prepared, atol=1e-3)
    assert shipping.described(preprocessing) == "as users have it: float32 (any, any)"


def test_units_are_those_of_users():
    metres = shipping.as_users_have_it(np.array([[0, 1500]], "uint16"))
    assert metres.dtype == "float32" and metres.tolist() == [[0.0, 1.5]]
    for same in (np.zeros((1, 2), "uint8"), np.zeros((1, 2), "int32")):
        assert shipping.as_users_have_it(same) is same
    assert "token ids" in shipping.described(None)


def test_labels_may_be_of_pixels():
    labels = np.zeros((2, 4, 4, 1), "uint8")
    found = SimpleNamespace(modalities={"labels": NyuLabels(4, 4)})
    assert shipping.labels_of(found, {"labels": labels}).shape == (2, 4, 4)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A finished one; `export_student` is not called."""
    found, _ = data()
    monkeypatch.setattr(shipping, "read_model", lambda file: None)
    made = {"versions": {"keras": "3"}, "device": "cpu", "revision": "r", "data": "d"}
    return SimpleNamespace(
        data=found,
        folder=tmp_path,
        task=tasks.Classification(),
        file=lambda name, seed: tmp_path / "student.keras",
        provenance=lambda: made,
        trainings=lambda: [("C2KD", 3), ("C2KD", 4)],
    )


SCORES = [{"top1": 0.5, "mean_class": 0.5}] * 2
RESULTS = dict.fromkeys(("teacher", "student alone", "C2KD"), SCORES)


def test_a_format_that_fails_is_one_sentence_and_the_others_have_a_card(
    run, monkeypatch, capsys
):
    def fails(student, folder, samples, formats, int8, **_):
        name = "student_int8.keras" if int8 else "student.keras"
        files = {"keras": ExportedFile(folder / name, 1000, 0.0, 1.0, 0.1, 0.5)}
        raise ExportError(ExportReport(files, {"onnx": "its process ended with 9"}))

    monkeypatch.setattr(export, "export_student", fails)
    with flagsaver.flagsaver(int8=True):
        with pytest.raises(ValueError, match="Received: onnx: its process.*onnx int8"):
            shipping.ship(run, RESULTS)
    card = (run.folder / "exported" / "student.md").read_text()
    for words in ("student_int8.keras", "| keras int8 |", "- 3\n- 4", "OFSD"):
        assert words in card
    assert "not recorded" not in card
    assert "onnx: its process ended with 9" in capsys.readouterr().out


def test_int8_goes_with_formats():
    shipping.check_formats()
    with flagsaver.flagsaver(int8=True, export=[]):
        with pytest.raises(ValueError, match="Received: --int8 without --export"):
            shipping.check_formats()
