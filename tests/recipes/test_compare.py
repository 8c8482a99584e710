"""The contest as a user runs it."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from contest.folder import Contest

METHODS = ("alone", "kd", "c2kd")  # of `undisturbed`
FLAGS = ("compare", "sun_rgbd", "--smoke", "--seeds=2", "--run_dir=run")


@pytest.fixture
def contest(undisturbed, tmp_path):
    """A copy of it."""
    shutil.copytree(undisturbed[0], tmp_path / "run")
    return tmp_path / "run"


def results(folder):
    """Of all cells, without what a clock has measured."""
    found = {}
    for file in sorted(folder.glob("cells/**/result.json")):
        result = json.loads(file.read_text())
        assert result.pop("seconds") > 0
        found[file.relative_to(folder).parent.as_posix()] = result
    return found


@pytest.mark.slow
def test_a_contest_leaves_tables_and_every_cell(undisturbed):
    folder, printed = undisturbed
    assert "7/7" in printed and "depth teaches rgb" in printed
    rows = list(csv.DictReader((folder / "table.csv").open()))
    assert [row["method"] for row in rows] == [*METHODS, *METHODS]
    assert {row["figure"] for row in rows} == {"top1", "mean_class"}
    cells = results(folder)
    gap = cells.pop("cells/depth-to-rgb/gap-student")
    assert "within rgb" in gap["words"]
    assert len(cells) == 7
    for cell in cells:
        left = {path.name for path in (folder / cell).iterdir()}
        model = "teacher.keras" if cell.endswith("teacher") else "student.keras"
        assert {model, "log.csv", "result.json", "output.txt"} <= left
    markdown = (folder / "table.md").read_text("utf-8")
    assert "| depth teaches rgb | C2KD | 2 |" in markdown


@pytest.mark.slow
def test_the_table_is_that_of_the_cells(undisturbed):
    folder, _ = undisturbed
    cells = results(folder)
    scores = {
        method: [
            cells[f"cells/depth-to-rgb/{method}/seed{k}"]["scores"]["top1"]
            for k in (0, 1)
        ]
        for method in METHODS
    }
    rows = {
        row["method"]: row
        for row in csv.DictReader((folder / "table.csv").open())
        if row["figure"] == "top1"
    }
    for method, row in rows.items():
        assert [float(score) for score in row["scores"].split()] == scores[method]
        assert float(row["mean"]) == pytest.approx(np.mean(scores[method]))
        assert float(row["deviation"]) == pytest.approx(np.std(scores[method], ddof=1))
    for base in ("alone", "kd"):
        difference = np.subtract(scores["c2kd"], scores[base])
        found = float(rows["c2kd"][f"minus_{base}_mean"])
        assert found == pytest.approx(difference.mean())
        wins = int(rows["c2kd"][f"minus_{base}_wins"])
        assert wins == (difference > 0).sum()
    assert rows["alone"]["minus_alone_mean"] == ""


@pytest.mark.slow
def test_methods_of_a_seed_are_paired_and_seeds_are_not_alike(undisturbed):
    cells = results(undisturbed[0])
    for seed in (0, 1):
        equal = [r["equal"] for c, r in cells.items() if c.endswith(f"/seed{seed}")]
        assert len(equal) == 3 and equal[0] == equal[1] == equal[2]
    first, second = (cells[f"cells/depth-to-rgb/kd/seed{k}"]["equal"] for k in (0, 1))
    assert first["initial student"] != second["initial student"]
    assert first["batches"] != second["batches"]


@pytest.mark.slow
def test_a_result_holds_what_the_report_shows(undisturbed):
    cells = results(undisturbed[0])
    del cells["cells/depth-to-rgb/gap-student"]
    for name, result in cells.items():
        confusion = np.array(result["confusion"])
        assert confusion.shape == (8, 8) and confusion.sum() == 32
        top1 = np.trace(confusion) / confusion.sum()
        assert result["scores"]["top1"] == pytest.approx(top1)
        assert len(result["predictions"]) == 32
        if not name.endswith("teacher"):
            right = result["gap"]["imbalance"]["student_accuracy"]
            assert right == pytest.approx(top1)
        counts = result.get("krc_histogram", {}).get("counts", [])
        assert [sum(epoch) for epoch in counts] == ([8] if "/c2kd/" in name else [])


@pytest.mark.slow
def test_a_table_of_validation_to_choose_by(contest, run):
    before = (contest / "table.csv").read_bytes(), (contest / "table.md").read_bytes()
    flags = [f"--methods={','.join(METHODS)}", "--judge_on=validation"]
    printed = run(*FLAGS, *flags)
    assert "Figures on validation" in printed.stdout
    assert "report" not in printed.stdout
    after = (contest / "table.csv").read_bytes(), (contest / "table.md").read_bytes()
    assert after == before
    cells = results(contest)
    for row in csv.DictReader((contest / "table-validation.csv").open()):
        name = f"cells/depth-to-rgb/{row['method']}/seed"
        values = [cells[f"{name}{k}"]["validation"]["value"] for k in (0, 1)]
        assert float(row["mean"]) == pytest.approx(np.mean(values))


@pytest.mark.slow
def test_the_same_command_runs_nothing_again_and_more_may_be_added(contest, run):
    before = {p: p.stat().st_mtime_ns for p in contest.glob("cells/**/result.json")}
    table = (contest / "table.csv").read_bytes()
    run(*FLAGS, f"--methods={','.join(METHODS)}")
    assert (contest / "table.csv").read_bytes() == table
    run(*FLAGS, "--methods=alone,dist,c2kd", "--seeds=1")
    after = {p: p.stat().st_mtime_ns for p in contest.glob("cells/**/result.json")}
    added = {p.parent.relative_to(contest).as_posix() for p in after.keys() - before}
    assert added == {"cells/depth-to-rgb/dist/seed0"}
    assert all(after[path] == time for path, time in before.items())


@pytest.mark.slow
def test_a_search_tries_settings_and_keeps_the_table_of_the_papers(contest, run):
    table = (contest / "table.csv").read_bytes()
    run(*FLAGS, "--methods=alone,kd", "--search=2", "--workers=2")
    assert (contest / "table.csv").read_bytes() == table
    tried = contest / "cells/depth-to-rgb/kd-0.3x/seed0/result.json"
    validation = [
        json.loads(path.read_text())["validation"]["value"]
        for path in (contest / "cells/depth-to-rgb/kd/seed0/result.json", tried)
    ]
    best = "0.3x" if validation[1] > validation[0] else "1x"
    rows = list(csv.DictReader((contest / "table-search2.csv").open()))
    assert {row["setting"] for row in rows if row["method"] == "kd"} == {best}
    page = (contest / "report-search2.html").read_text("utf-8")
    assert "Every method had the same search" in page and "0.3x" in page


@pytest.mark.slow
def test_other_flags_are_refused_in_one_sentence(contest, run):
    for flags, words in [
        (["--learning_rate=0.1"], "learning_rate=0.02. Received: learning_rate=0.1"),
        (["--methods=alone,sorcery"], "Received: --methods=alone,sorcery"),
        (["--teacher=sound"], "--teacher to be one of rgb, depth"),
        (["ave"], "one recipe, then flags"),
    ]:
        done = run(*FLAGS, *flags, expect=1)
        last = done.stderr.strip().splitlines()[-1]
        assert words in last and "Traceback" not in done.stderr
    assert "sun_rgbd" in run("compare", "--smoke", expect=1).stderr


@pytest.mark.slow
def test_cells_that_fail_are_named_after_all_have_been_tried(contest, run):
    cells = contest / "cells" / "depth-to-rgb"
    for name in ("kd/seed0", "kd/seed1"):
        shutil.rmtree(cells / name)
    (cells / "teacher" / "teacher.keras").write_bytes(b"no model")
    done = run(*FLAGS, "--methods=alone,kd", expect=1)
    for words in ("KD, seed 0: ", "KD, seed 1: ", "output.txt"):
        assert words in done.stderr
    assert (cells / "alone" / "seed1" / "result.json").exists()


@pytest.mark.slow
def test_ctrl_c_ends_all_of_it(tmp_path, start):
    process = start(tmp_path, *FLAGS, "--methods=alone,kd", "--workers=2")
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in stderr
    assert "the same command goes on" in stderr
    os.close(Contest(tmp_path / "run").lock(patience=5))  # no cell is left


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path, start, run_in, contest):
    flags = (*FLAGS, "--methods=alone,kd")
    run_in(tmp_path, *flags)  # the table of these two, from the cells that are there
    table = (contest / "table.csv").read_bytes()
    undisturbed = results(contest)
    kept = {c: r for c, r in undisturbed.items() if "/c2kd/" not in c}
    moments, kills = random.Random(0), 0
    folder = tmp_path / "killed"
    folder.mkdir()
    while kills < 12:
        process = start(folder, *flags, f"--workers={moments.choice([1, 2])}")
        try:
            process.communicate(timeout=moments.uniform(0.5, 12.0))
            # All is done: something must be there to be killed in.
            done = sorted(folder.glob("run/cells/**/result.json"))
            shutil.rmtree(moments.choice(done).parent)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    run_in(folder, *flags)
    assert (folder / "run" / "table.csv").read_bytes() == table
    assert results(folder / "run") == kept


@pytest.mark.slow
def test_it_runs_on_jax_too(tmp_path, run_in):
    flags = (*FLAGS, "--methods=alone,c2kd", "--seeds=1", "--workers=2")
    done = run_in(tmp_path, *flags, backend="jax")
    assert "3/3" in done.stdout
    settings = json.loads((tmp_path / "run" / "contest.json").read_text())
    assert settings["backend"] == "jax"
    counts = results(tmp_path / "run")["cells/depth-to-rgb/c2kd/seed0"]["krc_histogram"]
    assert [sum(epoch) for epoch in counts["counts"]] == [8]
