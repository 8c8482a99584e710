"""The recipe as a user runs it: a process of its own, from another folder."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

RECIPE = Path(__file__).parents[2] / "recipes" / "sun_rgbd.py"


def run(*flags, cwd, home, expect=0):
    environment = {**os.environ, "KERAS_HOME": str(home), "KERAS_BACKEND": "tensorflow"}
    done = subprocess.run(
        [sys.executable, str(RECIPE), *flags],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (done.returncode != 0) == bool(expect), done.stderr + done.stdout
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One miniature for all runs of this file."""
    return tmp_path_factory.mktemp("keras_home")


@pytest.mark.slow
@pytest.mark.parametrize("direction", [[], ["--teacher=rgb", "--student=depth"]])
def test_smoke_leaves_a_complete_run(tmp_path, home, direction):
    done = run("--smoke", "--run_dir=run", *direction, cwd=tmp_path, home=home)
    teacher, student = ("rgb", "depth") if direction else ("depth", "rgb")
    for words in (f"teacher ({teacher})", f"{student} alone", f"{student} with C2KD"):
        assert words in done.stdout
    folder = tmp_path / "run"
    assert sorted(p.name for p in folder.iterdir()) == [
        "config.json",
        "curves.png",
        "log.csv",
        "results.json",
        "student.keras",
        "teacher.keras",
    ]
    assert json.loads((folder / "config.json").read_text())["teacher"] == teacher
    results = json.loads((folder / "results.json").read_text())
    assert set(results["results"]) == {"teacher", "student alone", "C2KD"}
    rows = list(csv.DictReader((folder / "log.csv").open()))
    assert [row["model"] for row in rows] == ["teacher", "student alone", "C2KD"]
    student_model = keras.models.load_model(folder / "student.keras")
    assert student_model.input_shape[-1] == (1 if direction else 3)


@pytest.mark.slow
def test_mistakes_end_in_one_sentence_and_write_nothing(tmp_path, home):
    (tmp_path / "empty").mkdir()
    for flags, words in [
        (["--teacher=sound"], "--teacher to be one of rgb, depth"),
        (["--teacher=rgb"], "two different modalities"),
        (["--data_dir=empty"], "SUNRGBD"),
    ]:
        done = run(
            "--smoke", *flags, "--run_dir=run", cwd=tmp_path, home=home, expect=1
        )
        last = done.stderr.strip().splitlines()[-1]
        assert words in last and "Received: " in last
        assert "Traceback" not in done.stderr
        assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_finished_run_is_not_overwritten(tmp_path, home):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "results.json").write_text("{}")
    done = run("--smoke", "--run_dir=run", cwd=tmp_path, home=home, expect=1)
    assert "would be overwritten" in done.stderr
