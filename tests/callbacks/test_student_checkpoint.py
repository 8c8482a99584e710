import os
import stat

import keras
import numpy as np
import pytest

from keras_c2kd.callbacks import StudentCheckpoint
from keras_c2kd.callbacks.student_checkpoint import save_aside
from tests.helpers import distiller, pairs


def test_it_keeps_the_best_student_and_not_the_last(tmp_path):
    x, y = pairs()
    model = distiller()
    path = tmp_path / "deep" / "student.keras"
    checkpoint = StudentCheckpoint(path, monitor="score")
    scores = [0.1, 0.7, 0.3, float("nan"), 0.7]
    kept = []

    def remember(epoch, logs):
        logs["score"] = scores[epoch]
        kept.append(model.student.get_weights()[0])

    score = keras.callbacks.LambdaCallback(on_epoch_end=remember)
    # On JAX a callback sees live weights through its own `model`.
    score.on_epoch_end = lambda epoch, logs: (score.model, remember(epoch, logs))
    model.fit(x, y, epochs=5, callbacks=[score, checkpoint], verbose=0)
    assert (checkpoint.best, checkpoint.best_epoch) == (0.7, 1)
    saved = keras.models.load_model(path)
    np.testing.assert_array_equal(saved.get_weights()[0], kept[1])
    assert [p.name for p in path.parent.iterdir()] == ["student.keras"]


def test_smaller_is_better_when_asked(tmp_path):
    x, y = pairs()
    checkpoint = StudentCheckpoint(tmp_path / "s.keras", monitor="loss", mode="min")
    history = distiller().fit(x, y, epochs=3, callbacks=[checkpoint], verbose=0).history
    assert checkpoint.best == min(history["loss"])


def test_a_failed_write_leaves_the_last_good_student(tmp_path, monkeypatch):
    x, y = pairs()
    model = distiller()
    path = tmp_path / "student.keras"
    model.fit(x, y, callbacks=[StudentCheckpoint(path, monitor="loss")], verbose=0)
    good = path.read_bytes()

    def half_a_file(filepath, *args, **kwargs):
        filepath.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(model.student, "save", half_a_file)
    words = "make room on the disk.*before is unharmed. Received: No space left.*keras$"
    with pytest.raises(OSError, match=words):
        model.fit(x, y, callbacks=[StudentCheckpoint(path, monitor="loss")], verbose=0)
    assert path.read_bytes() == good
    assert [p.name for p in tmp_path.iterdir()] == ["student.keras"]


def test_it_is_on_the_disk_before_it_is_renamed(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace

    def flushed(descriptor):
        folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        done.append("folder" if folder else "file")
        fsync(descriptor)

    def renamed(*paths):
        done.append("renamed")
        replace(*paths)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    save_aside(distiller().student, tmp_path / "student.keras")
    assert done == ["file", "renamed", "folder"]


def test_what_keras_cannot_save_is_no_fault_of_the_disk(tmp_path, monkeypatch):
    def fail(filepath):
        filepath.write_bytes(b"half")
        raise ValueError("a layer without a config")

    student = distiller().student
    monkeypatch.setattr(student, "save", fail)
    with pytest.raises(ValueError, match="^a layer without a config$"):
        save_aside(student, tmp_path / "student.keras")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filepath": "student.h5"}, "end in .keras"),
        ({"filepath": "s.keras", "mode": "auto"}, "mode='auto'"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        StudentCheckpoint(**arguments)


def test_an_unknown_metric_lists_the_known(tmp_path):
    x, y = pairs()
    with pytest.raises(
        ValueError, match="one of .*accuracy.*Received: monitor='val_f1'"
    ):
        distiller().fit(
            x,
            y,
            callbacks=[StudentCheckpoint(tmp_path / "s.keras", "val_f1")],
            verbose=0,
        )
