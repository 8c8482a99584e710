"""A recipe that was killed, or whose disk was full, and the same command again."""

import csv
import json
import os
import random
import shutil
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

from keras_c2kd.data import write_sun_rgbd
from tests.recipes.conftest import RECIPES

EPOCHS, STEPS = 2, 5
# Tests that share a run, for it to be made once.
shares_undisturbed = pytest.mark.xdist_group("recipe_undisturbed")
shares_on_jax = pytest.mark.xdist_group("recipe_on_jax")
# What a run is killed in, in turn.
AIMS = ("starting", "checkpointing", "training", "validating", "writing", "testing")
KILLS = 25


@pytest.fixture(scope="module")
def flags(home):
    """Two epochs of five steps, with a checkpoint after every step."""
    data = home / "datasets" / "keras_c2kd" / "sun_rgbd_miniature_80"  # --smoke's too
    sizes = (f"--epochs={EPOCHS}", "--image_size=32", f"--batch_size={40 // STEPS}")
    data_dir = f"--data_dir={write_sun_rgbd(data, 80)}"
    return ("sun_rgbd", data_dir, *sizes, "--checkpoint_minutes=0")


@pytest.fixture(scope="module")
def undisturbed(flags, tmp_path_factory, run_in):
    folder = tmp_path_factory.mktemp("undisturbed")
    run_in(folder, *flags, "--run_dir=run")
    return folder / "run"


def check_equal(ours, reference):
    """Logs, results and weights, to the bit."""
    names = sorted(path.name for path in reference.iterdir())
    assert sorted(path.name for path in ours.iterdir()) == names
    assert (ours / "log.csv").read_bytes() == (reference / "log.csv").read_bytes()
    results = [json.loads((f / "results.json").read_text()) for f in (ours, reference)]
    assert results[0]["results"] == results[1]["results"]
    for name in names:
        if name.endswith(".keras"):
            weights = [keras.models.load_model(f / name) for f in (ours, reference)]
            for one, other in zip(*(m.get_weights() for m in weights), strict=True):
                np.testing.assert_array_equal(one, other)


class Seen:
    """What a run has left in its folder so far.

    Attributes:
        asides: files that are being written, or were when the run was killed.
        newest: `(training, epoch, step)` of its newest checkpoint, or None.
        rows: that log.csv has.
    """

    def __init__(self, folder):
        self.folder = folder
        self.asides = {
            (path, status.st_mtime_ns)
            for path in [*folder.glob(".*.writing*"), *folder.glob(".*/.*.writing")]
            if (status := status_of(path))
        }
        names = [(p.parent.name, p.name) for p in folder.glob(".*.checkpoints/epoch*")]
        self.newest = max(map(position, names), default=None)
        self.rows = rows_of(folder / "log.csv")

    def phase(self, before):
        """What the run was in, by what it has left since `before`."""
        asides = {path.name for path, _ in self.asides - before.asides}
        if any("epoch" in name for name in asides):
            return "checkpointing"
        if asides:
            return "writing"
        if self.newest is None or self.newest == before.newest:
            return "starting"
        _, epoch, step = self.newest
        if epoch == EPOCHS:  # all that is left is to evaluate the best epoch
            return "testing"
        # The last step of an epoch has no checkpoint of its own.
        last = step == STEPS - 1 and self.rows % EPOCHS == epoch
        return "validating" if last else "training"


def status_of(path):
    """None of a file that has just been renamed."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def position(name):
    """Of a checkpoint's folder and file, `(training, epoch, step)`."""
    training, file = name
    epoch, step = file.removesuffix(".npz").split("-")
    return training, int(epoch.removeprefix("epoch")), int(step.removeprefix("step"))


def rows_of(log):
    try:
        return len(list(csv.reader(log.read_text().splitlines()))) - 1
    except FileNotFoundError:
        return 0


def wait_for(aim, process, folder, draw):
    """Until the run is in what it is to be killed in, or has ended."""
    before, until = Seen(folder), time.monotonic() + draw.uniform(0.5, 3.0)
    # Into the step or the evaluation; what is written is there for a moment only.
    seconds = {"training": 0.02, "validating": 0.08, "testing": 0.25}.get(aim, 0.0)
    while process.poll() is None:
        if aim == "starting":
            if time.monotonic() > until:
                break
        elif Seen(folder).phase(before) == aim:
            time.sleep(draw.uniform(seconds / 4, seconds))
            break
        time.sleep(0.001)
    return before


@pytest.mark.slow
@shares_undisturbed
def test_killed_in_whatever_it_does_it_ends_as_if_it_were_not(
    tmp_path, flags, undisturbed, start
):
    draw, said, hit = random.Random(0), "", []
    folder, starts = tmp_path / "run", 0
    while len(hit) < KILLS:
        process = start(tmp_path, *flags, "--run_dir=run")
        # What has been missed so far comes first, in turn.
        aims = [aim for aim in AIMS if aim not in hit] or AIMS
        before = wait_for(aims[starts % len(aims)], process, folder, draw)
        starts += 1
        process.kill()
        said += "".join(process.communicate())
        if process.returncode >= 0:
            assert process.returncode == 0, said
            check_equal(folder, undisturbed)
            shutil.rmtree(folder)  # all is done: once more from nothing
            assert starts < 3 * KILLS, hit
            continue
        hit.append(Seen(folder).phase(before))
    process = start(tmp_path, *flags, "--run_dir=run")
    said += "".join(process.communicate())
    assert process.returncode == 0, said
    check_equal(folder, undisturbed)
    assert "going on after epoch" in said
    assert set(hit) == set(AIMS), hit


@pytest.fixture(scope="module")
def on_jax(tmp_path_factory, run_in):
    """A run of JAX that nothing has happened to, and its flags."""
    flags = ("sun_rgbd", "--smoke", "--checkpoint_minutes=0", "--run_dir=run")
    folder = tmp_path_factory.mktemp("jax")
    run_in(folder, *flags, backend="jax")
    return folder / "run", flags


@pytest.mark.slow
@shares_on_jax
def test_jax_gives_the_same_weights_again_and_after_a_kill(
    tmp_path, on_jax, start, run_in
):
    reference, flags = on_jax
    process = start(tmp_path, *flags, backend="jax")
    while not list(tmp_path.glob("run/.student.checkpoints/*.npz")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.communicate()
    done = run_in(tmp_path, *flags, backend="jax")
    assert "C2KD, seed 0, going on after epoch 0" in done.stdout
    check_equal(tmp_path / "run", reference)


@pytest.mark.slow
@shares_on_jax
def test_two_devices_of_jax_train_as_one_and_the_student_is_watched(
    tmp_path, on_jax, run_in, monkeypatch
):
    reference, flags = on_jax
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    done = run_in(tmp_path, *flags, "--distribution=data_parallel", backend="jax")
    assert "2 devices share each batch" in done.stdout
    # After one epoch of so little it answers by chance.
    assert "Epoch 1: the student " in done.stdout
    logs = [read_rows(f / "log.csv") for f in (tmp_path / "run", reference)]
    for ours, alone in zip(*logs, strict=True):
        assert ours.keys() == alone.keys()
        for name in ours:
            if name != "model":
                assert ours[name] == pytest.approx(alone[name], rel=1e-3, abs=1e-4)


def read_rows(log):
    rows = list(csv.DictReader(log.read_text().splitlines()))
    return [
        {k: v if k == "model" else float(v or 0) for k, v in r.items()} for r in rows
    ]


@pytest.mark.slow
@shares_undisturbed
def test_a_finished_run_shows_its_table_again_and_refuses_other_flags(
    tmp_path, flags, undisturbed, run
):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    before = {p.name: p.read_bytes() for p in folder.glob("*.[!p]*")}
    assert {"results.json", "teacher.keras"} < before.keys()
    done = run(*flags, "--run_dir=run", "--checkpoint_minutes=5")
    table, said = "rgb with C2KD", done.stdout
    assert table in said and "epoch" not in said.split("\n\n")[0]
    assert {p.name: p.read_bytes() for p in folder.glob("*.[!p]*")} == before
    # As if it had been killed in the teacher's first epoch.
    (folder / "done.json").write_text("{}")
    (folder / ".teacher.checkpoints").mkdir()
    (folder / ".teacher.checkpoints" / "epoch000000-step00000001.npz").touch()
    done = run(*flags, "--run_dir=run", "--learning_rate=0.5", expect=1)
    assert "learning_rate=0.02. Received: learning_rate=0.5" in done.stderr
    assert (folder / "teacher.keras").read_bytes() == before["teacher.keras"]


@pytest.mark.slow
@shares_undisturbed
def test_resume_goes_on_with_the_newest_run_that_is_not_done(
    tmp_path, flags, undisturbed, run
):
    """One that was killed after results.json; it is given another seed, too."""
    done = run(*flags, "--resume", expect=1)
    assert "Expected a run that is not done" in done.stderr
    runs = tmp_path / "runs"
    for stamp in ("20260101-000000", "20260102-000000"):
        folder = shutil.copytree(undisturbed, runs / f"sun_rgbd-depth-to-rgb-{stamp}")
    (folder / "curves.png").unlink()
    (folder / ".unfinished").touch()
    entries = json.loads((folder / "done.json").read_text())
    entries["teacher, seed 0"]["made"][0]["revision"] = "of a year ago"
    (folder / "done.json").write_text(json.dumps(entries))
    run(*flags, "--resume", "--seeds=2")
    assert len(list(runs.iterdir())) == 2
    assert (folder / "curves.png").exists() and not (folder / ".unfinished").exists()
    found, before = (
        json.loads((f / "results.json").read_text()) for f in (folder, undisturbed)
    )
    for name, scores in before["results"].items():
        assert found["results"][name][0] == scores[0]
        assert len(found["results"][name]) == (1 if name == "teacher" else 2)
    made = found["provenance"]
    assert made["trainings"]["teacher, seed 0"][0]["revision"] == "of a year ago"
    assert made["revision"] == made["trainings"]["C2KD, seed 1"][0]["revision"]
    assert made["revision"] != "of a year ago"


@pytest.mark.slow
@shares_undisturbed
def test_a_full_disk_ends_in_one_sentence_and_can_be_gone_on_from(
    tmp_path, flags, undisturbed, run, home
):
    """A small tmpfs in a mount namespace of its own; what is on it is copied out."""
    namespace = ["unshare", "--map-root-user", "--mount"]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"]).returncode:
        pytest.skip("this system lets no user mount a tmpfs")
    (tmp_path / "small").mkdir()
    command = [sys.executable, RECIPES / f"{flags[0]}.py", *flags[1:]]
    words = [f"'{word}'" for word in [*command, "--run_dir=small/run"]]
    script = "mount -t tmpfs -o size=3m none small"
    script += f"; {' '.join(words)}; code=$?; cp -r small/run run; exit $code"
    done = subprocess.run(
        [*namespace, "sh", "-c", script],
        cwd=tmp_path,
        env={**os.environ, "KERAS_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    for words in ("No space left", "Received: ", "is unharmed"):
        assert words in last
    run(*flags, "--run_dir=run")
    check_equal(tmp_path / "run", undisturbed)
