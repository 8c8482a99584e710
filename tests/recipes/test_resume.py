"""A recipe that was killed, or whose disk was full, and the same command again."""

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

KILLS = 25


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """Two epochs of seven steps, with a checkpoint after every step."""
    data = write_sun_rgbd(tmp_path_factory.mktemp("data") / "sun_rgbd", 80)
    sizes = ("--epochs=2", "--image_size=32", "--batch_size=8", "--seeds=2")
    return ("sun_rgbd", f"--data_dir={data}", *sizes, "--checkpoint_minutes=0")


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


@pytest.mark.slow
def test_killed_at_random_moments_it_ends_as_if_it_were_not(
    tmp_path, flags, undisturbed, start
):
    draw, kills, said = random.Random(0), 0, ""
    while True:
        process = start(tmp_path, *flags, "--run_dir=run")
        if kills == 0:  # once at least within a training, however slow the machine is
            while not list(tmp_path.glob("run/.*.checkpoints/*.npz")):
                assert process.poll() is None
                time.sleep(0.05)
        wait = draw.uniform(3.0, 14.0) * (kills > 0) if kills < KILLS else None
        try:
            said += "".join(process.communicate(timeout=wait))
            assert process.returncode == 0, said
            check_equal(tmp_path / "run", undisturbed)
            if kills == KILLS:
                break
            shutil.rmtree(tmp_path / "run")  # all is done: once more from nothing
        except subprocess.TimeoutExpired:
            process.kill()
            said += "".join(process.communicate())
            kills += 1
    assert "going on after epoch" in said


@pytest.mark.slow
def test_jax_gives_the_same_weights_again_and_after_a_kill(tmp_path, start, run_in):
    flags = ("sun_rgbd", "--smoke", "--checkpoint_minutes=0", "--run_dir=run")
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    run_in(folders[0], *flags, backend="jax")
    process = start(folders[1], *flags, backend="jax")
    while not list(folders[1].glob("run/.student.checkpoints/*.npz")):
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.communicate()
    done = run_in(folders[1], *flags, backend="jax")
    assert "C2KD, seed 0, going on after epoch 0" in done.stdout
    check_equal(*(folder / "run" for folder in folders))


@pytest.mark.slow
def test_a_finished_run_shows_its_table_again_and_takes_more_seeds(
    tmp_path, flags, undisturbed, run
):
    folder = shutil.copytree(undisturbed, tmp_path / "run")
    before = {p.name: p.read_bytes() for p in folder.glob("*.keras")}
    done = run(*flags, "--run_dir=run")
    assert (
        "rgb with C2KD" in done.stdout and "epoch" not in done.stdout.split("\n\n")[0]
    )
    check_equal(folder, undisturbed)
    done = run(*flags, "--run_dir=run", "--learning_rate=0.5", expect=1)
    assert "learning_rate=0.02. Received: learning_rate=0.5" in done.stderr
    assert {p.name: p.read_bytes() for p in folder.glob("*.keras")} == before


@pytest.mark.slow
def test_resume_goes_on_with_the_newest_run_that_is_not_done(
    tmp_path, flags, undisturbed, run
):
    done = run(*flags, "--resume", expect=1)
    assert "Expected a run that is not done" in done.stderr
    runs = tmp_path / "runs"
    for stamp in ("20260101-000000", "20260102-000000"):
        folder = shutil.copytree(undisturbed, runs / f"sun_rgbd-depth-to-rgb-{stamp}")
    (folder / "results.json").unlink()
    run(*flags, "--resume")
    check_equal(folder, undisturbed)
    assert len(list(runs.iterdir())) == 2


@pytest.mark.slow
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
    assert "No space left" in last and "Received: " in last
    run(*flags, "--run_dir=run")
    check_equal(tmp_path / "run", undisturbed)
