"""What a run refuses, keeps, and agrees on with other processes."""

import json
import os

import numpy as np
import pytest
import runner
import sun_rgbd
from absl.testing import flagsaver
from done import Done
from files import lock
from recipe import FLAGS, end_in_one_sentence
from runner import Run, is_finished, run_folder
from training import check_guard, checkpoints_of

from keras_c2kd.backend import devices
from keras_c2kd.distribution import Replicas

TEACHER, ALONE, C2KD = "teacher, seed 0", "student alone, seed 0", "C2KD, seed 0"


class Data:
    """What a run asks of `loading.Data` before it trains."""

    replicas = 1

    def fingerprint(self):
        return "f" * 64


@pytest.fixture
def begin(tmp_path, monkeypatch):
    """Begins a run in a folder, with flags, as a process does that ends then."""
    held = []

    def lock_here(folder):
        held.append(lock(folder, patience=0.2))
        return held[-1]

    def begin(**flags):
        try:
            with flagsaver.flagsaver(**flags):
                return Run(sun_rgbd.RECIPE, tmp_path / "run", Data(), Replicas())
        finally:
            while held:
                os.close(held.pop())

    monkeypatch.setattr(runner, "lock", lock_here)
    with flagsaver.flagsaver():
        FLAGS(["test", "--teacher=depth", "--student=rgb"])
        yield begin


def test_flags_may_be_corrected_until_something_is_kept(begin):
    assert begin(learning_rate=0.5).done.names == [TEACHER, ALONE, C2KD]
    run = begin(learning_rate=0.1)
    folder = checkpoints_of(run.file("teacher", 0))
    folder.mkdir()
    (folder / ".epoch000000-step00000001.npz.writing").write_bytes(b"half of one")
    run = begin(learning_rate=0.02)
    (folder / "epoch000000-step00000001.npz").write_bytes(b"a whole one")
    begin(learning_rate=0.02, seeds=3, export=["onnx"])
    with pytest.raises(ValueError, match="learning_rate=0.02. Received: learning_r"):
        begin(learning_rate=0.5)
    (folder / "epoch000000-step00000001.npz").unlink()
    run.done.begin(TEACHER, run.made, goes_on=False)
    begin(learning_rate=0.5)
    run = begin(learning_rate=0.02)
    run.done.begin(TEACHER, run.made, goes_on=False)
    run.done.end(TEACHER, {"top1": 0.5})
    with pytest.raises(ValueError, match="learning_rate=0.02. Received: learning_r"):
        begin(learning_rate=0.5)


def test_scores_of_an_earlier_version_are_not_trained_over(begin):
    run = begin()
    run.done.file.write_text(json.dumps({TEACHER: {"top1": 0.5}}))
    assert begin().done.scores(TEACHER) == {"top1": 0.5}
    with pytest.raises(ValueError, match="Received: epochs=3"):
        begin(epochs=3)


def test_another_run_in_the_folder_is_refused(begin, tmp_path):
    held = lock(tmp_path / "run")
    with pytest.raises(ValueError, match="no other contest or run"):
        begin()
    assert [file.name for file in (tmp_path / "run").iterdir()] == [".lock"]
    os.close(held)
    begin()


def test_how_a_training_was_made_is_kept(tmp_path):
    file, names = tmp_path / "done.json", [TEACHER, ALONE]
    done = Done(file, names)
    done.begin(TEACHER, {"revision": "one"}, goes_on=False)
    assert TEACHER not in Done(file, names) and not Done(file, names)
    done = Done(file, names)
    done.begin(TEACHER, {"revision": "two"}, goes_on=False)  # nothing was kept of one
    for revision in ("three", "three", "two"):
        done = Done(file, names)
        done.begin(TEACHER, {"revision": revision}, goes_on=True)
    done.end(TEACHER, {"top1": 0.5})
    done = Done(file, names)
    assert TEACHER in done and ALONE not in done and done
    assert done.made(TEACHER) == [{"revision": "two"}, {"revision": "three"}]
    assert done.scores(TEACHER) == {"top1": 0.5}


def test_what_one_process_lacks_is_done_again_by_all(tmp_path, monkeypatch):
    files = [tmp_path / f"{i}.json" for i in range(2)]
    entry = {"made": ["before"], "scores": {"top1": 0.5}}
    lacking = {"made": ["before"]}
    written = [{TEACHER: entry, ALONE: entry}, {TEACHER: entry, ALONE: lacking}]
    for file, entries in zip(files, written, strict=True):
        file.write_text(json.dumps(entries))
    names = [TEACHER, ALONE, C2KD]
    ours = [np.array([name in Done(file, names) for name in names]) for file in files]
    monkeypatch.setattr(devices, "from_all_processes", lambda _: np.stack(ours))
    for file in files:
        done = Done(file, names)
        assert [name in done for name in names] == [True, False, False]
        assert done.made(ALONE) == ["before"]


def test_checkpoints_stay_until_every_process_has_the_scores(begin, monkeypatch):
    run, asked = begin(), []
    folder = checkpoints_of(run.file("teacher", 0))

    def train(seed, file):
        folder.mkdir()
        (folder / "epoch000001-step00000000.npz").write_bytes(b"")
        return {"top1": 0.5}

    def others(ours):
        asked.append((ours.tolist(), folder.exists()))
        return ours[None]

    monkeypatch.setattr(devices, "from_all_processes", others)
    run.teacher = train
    assert run.once("teacher", 0) == {"top1": 0.5}
    assert asked == [([1, 0, 0], True)] and not folder.exists()


def test_a_run_is_finished_when_all_is_written(begin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for day in (1, 2, 3):
        folder = tmp_path / "runs" / f"sun_rgbd-depth-to-rgb-2026010{day}-000000"
        folder.mkdir(parents=True)
        for name in ("config.json", "results.json"):
            (folder / name).write_text("{}")
    assert is_finished(folder)
    with flagsaver.flagsaver(resume=True):
        with pytest.raises(ValueError, match="Expected a run that is not done"):
            run_folder("sun_rgbd", Replicas())
        (folder.with_name(folder.name.replace("03-", "02-")) / ".unfinished").touch()
        assert "20260102" in str(run_folder("sun_rgbd", Replicas()))
        (folder / "results.json").unlink()
        assert "20260103" in str(run_folder("sun_rgbd", Replicas()))


def test_a_step_cannot_be_left_out_where_devices_share_it(begin, monkeypatch):
    both = Replicas("mirrored", 2)
    check_guard(both)
    with flagsaver.flagsaver(on_non_finite="skip"):
        check_guard(Replicas())
        with pytest.raises(ValueError, match="Received: --on_non_finite=skip on 2"):
            check_guard(both)
        monkeypatch.setattr(devices, "GUARDS_REPLICAS", True)
        check_guard(both)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("Expected a. Received: b"), "ValueError: Expected a. Received: b"),
        (ImportError("Expected onnx to be installed"), "ImportError: Expected onnx"),
        (
            OSError(28, "No space left on device"),
            "OSError: .*goes on.*Received: .Errno",
        ),
        (RuntimeError("a\nNo space left on device"), "room on the disk.*: a No space"),
        (OSError("Expected x. Received: No space left"), "^OSError: Expected x. Rec"),
        (KeyboardInterrupt(), "^Stopped; --resume, or the same --run_dir, goes on"),
    ],
)
def test_known_mistakes_end_in_one_sentence(error, words):
    def fail():
        raise error

    with pytest.raises(SystemExit, match=words.replace("^", "^\n")) as ended:
        end_in_one_sentence(fail)
    assert str(ended.value).count("\n") == 1


def test_unknown_ones_have_a_traceback():
    with pytest.raises(KeyError):
        end_in_one_sentence({}.__getitem__, "x")
