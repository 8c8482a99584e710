"""The contest as a user runs it."""

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from contest.folder import Contest

METHODS = ("alone", "kd", "c2kd")  # of `undisturbed`
SMOKE = ("compare", "sun_rgbd", "--smoke", "--run_dir=run")
KILLS = 12


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
    faults = cells["cells/depth-to-rgb/teacher"]["faults"]
    assert printed.count("Look at the teacher first") == len(faults)
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
            right = result["gap_validation"]["imbalance"]["student_accuracy"]
            assert right == pytest.approx(result["validation"]["value"])
        counts = result.get("krc_histogram", {}).get("counts", [])
        assert [sum(epoch) for epoch in counts] == [8, 8] * ("/c2kd/" in name)


@pytest.mark.slow
def test_a_table_of_validation_to_choose_by_has_nothing_of_test(contest, run, small):
    before = {path.name: path.read_bytes() for path in contest.glob("*.*")}
    flags = [f"--methods={','.join(METHODS)}", "--judge_on=validation"]
    printed = run(*small, *flags).stdout
    assert "Figures on validation" in printed
    assert "report" not in printed and "test" not in printed.replace("t-test", "")
    after = {path.name: path.read_bytes() for path in contest.glob("*.*")}
    markdown, table = (f"table-validation.{kind}" for kind in ("md", "csv"))
    assert after.keys() - before.keys() == {markdown, table}
    assert {name: after[name] for name in before} == before
    cells, rows = results(contest), list(csv.DictReader((contest / table).open()))
    assert [(row["method"], row["figure"]) for row in rows] == [
        (method, "top1") for method in METHODS
    ]
    for row in rows:
        name = f"cells/depth-to-rgb/{row['method']}/seed"
        values = [cells[f"{name}{k}"]["validation"]["value"] for k in (0, 1)]
        assert row["scores"] == " ".join(map(str, values))
        assert float(row["mean"]) == pytest.approx(np.mean(values))
        assert f"{100 * np.mean(values):.1f} ±" in (contest / markdown).read_text()


@pytest.mark.slow
def test_the_same_command_runs_nothing_again_and_more_may_be_added(contest, run, small):
    def written():
        files = contest.glob("cells/**/result.json")
        return {f.parent.relative_to(contest).as_posix(): f.stat() for f in files}

    before, table = written(), (contest / "table.csv").read_bytes()
    run(*small, f"--methods={','.join(METHODS)}")
    assert (contest / "table.csv").read_bytes() == table
    # Batches of other samples for the teacher alone, or the contest is refused.
    run(*small, "--methods=alone,ucmkd_unpaired,c2kd", "--seeds=1")
    run(*small, "--methods=alone", "--directions=both", "--workers=2")
    after = written()
    assert after.keys() - before == {
        "cells/depth-to-rgb/gap-teacher-student",
        "cells/depth-to-rgb/ucmkd_unpaired/seed0",
        *(f"cells/rgb-to-depth/{name}" for name in OTHER_DIRECTION),
    }
    assert all(after[cell].st_mtime_ns == s.st_mtime_ns for cell, s in before.items())
    gap = results(contest)["cells/rgb-to-depth/gap-teacher-student"]
    assert all(name in gap["words"] for name in ("within rgb", "within depth"))
    heads = re.findall(r"<h3>(.*?)</h3>", (contest / "report.html").read_text("utf-8"))
    assert {"Depth teaches rgb", "Rgb teaches depth"} == set(heads)


OTHER_DIRECTION = ("teacher", "alone/seed0", "alone/seed1", "gap-teacher-student")


@pytest.mark.slow
def test_a_search_tries_settings_and_keeps_the_table_of_the_papers(contest, run, small):
    table = (contest / "table.csv").read_bytes()
    run(*small, "--methods=alone,kd", "--search=2", "--workers=2")
    assert (contest / "table.csv").read_bytes() == table
    cells = results(contest)
    rows = list(csv.DictReader((contest / "table-search2.csv").open()))
    for method in ("alone", "kd"):
        usual, tried = (
            cells[f"cells/depth-to-rgb/{method}{setting}/seed0"]
            for setting in ("", "-0.3x")
        )
        assert tried["gap"] != usual["gap"]
        values = [result["validation"]["value"] for result in (usual, tried)]
        best = "0.3x" if values[1] > values[0] else "1x"
        assert {row["setting"] for row in rows if row["method"] == method} == {best}
    page = (contest / "report-search2.html").read_text("utf-8")
    assert "Every method had the same search" in page and "0.3x" in page


@pytest.mark.slow
def test_other_flags_are_refused_in_one_sentence(contest, run, small):
    for flags, words in [
        (["--learning_rate=0.1"], "learning_rate=0.02. Received: learning_rate=0.1"),
        (["--methods=alone,sorcery"], "Received: --methods=alone,sorcery"),
        (["--teacher=sound"], "--teacher to be one of rgb, depth"),
        (["ave"], "one recipe, then flags"),
        (["--export=keras"], "ships nothing. Received: --export"),
    ]:
        done = run(*small, *flags, expect=1)
        last = done.stderr.strip().splitlines()[-1]
        assert words in last and "Traceback" not in done.stderr
    done = run("compare", "nyu_depth_v2", "--methods=kd,ucmkd", expect=1)
    assert "with per-pixel logits. Received: --methods=kd,ucmkd" in done.stderr
    assert "sun_rgbd" in run("compare", "--smoke", expect=1).stderr


@pytest.mark.slow
def test_cells_that_fail_are_named_after_all_have_been_tried(contest, run, small):
    cells = contest / "cells" / "depth-to-rgb"
    for name in ("kd/seed0", "kd/seed1"):
        shutil.rmtree(cells / name)
    (cells / "teacher" / "teacher.keras").write_bytes(b"no model")
    done = run(*small, "--methods=alone,kd", expect=1)
    for words in ("KD, seed 0: ", "KD, seed 1: ", "output.txt"):
        assert words in done.stderr
    assert (cells / "alone" / "seed1" / "result.json").exists()


@pytest.mark.slow
def test_a_method_that_diverged_has_no_figures_and_the_others_have(contest, run, small):
    for name in ("c2kd/seed1", "kd/seed0", "kd/seed1"):
        file = contest / "cells" / "depth-to-rgb" / name / "result.json"
        result = {"diverged": "Received: a non-finite loss", "revision": "another"}
        file.write_text(json.dumps({**result, "seconds": 1}))
    printed = run(*small, "--methods=alone,kd,c2kd").stdout
    assert re.search(r"C2KD +1 diverged", printed)
    assert re.search("more than one state of the code.*\n.*another", printed)
    rows = list(csv.DictReader((contest / "table.csv").open()))
    found = {row["method"]: (row["diverged"], bool(row["mean"])) for row in rows}
    assert found == {"alone": ("0", True), "kd": ("2", False), "c2kd": ("1", False)}
    page = (contest / "report.html").read_text("utf-8")
    assert "<img" in page and "1 diverged" in page
    printed = run(*small, "--methods=c2kd").stdout  # none is left to show
    assert "1 diverged" in printed


@pytest.mark.slow
def test_ctrl_c_ends_all_of_it(tmp_path, start):
    def heed():  # a shell may have started the tests where Ctrl-C is ignored
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    flags = (*SMOKE, "--methods=alone,kd", "--workers=2")
    process = start(tmp_path, *flags, preexec_fn=heed)
    time.sleep(6)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 1 and "Traceback" not in stderr
    assert "the same command goes on" in stderr
    os.close(Contest(tmp_path / "run").lock(patience=5))  # no cell is left


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing(tmp_path, start, contest, run, small):
    """One seed. Every second kill is where something was just written, since most of
    the time goes by in starting; one is in the second epoch of C2KD."""
    methods = f"--methods={','.join(METHODS)}"
    flags = (*small, methods, "--seeds=1", "--checkpoint_minutes=0")
    run(*flags)  # the table of one seed, from the cells that are there
    reference = outcome(contest)
    (tmp_path / "killed").mkdir()
    folder = tmp_path / "killed" / "run"
    c2kd = folder / "cells/depth-to-rgb/c2kd/seed0"
    moments, kills, said = random.Random(0), 0, ""
    while True:
        before = written(folder)
        process = start(folder.parent, *flags, f"--workers={moments.choice([1, 2])}")
        while kills % 2 and process.poll() is None and written(folder) == before:
            time.sleep(0.05)
        wait = moments.uniform(0.0, 3.0) if kills < KILLS else None
        if kills == KILLS // 2:
            wait_for(process, c2kd / ".student.checkpoints", "epoch000001-*.npz")
            wait = 0.0
        try:
            process.communicate(timeout=wait)
            said += (c2kd / "output.txt").read_text()
            assert process.returncode == 0 and outcome(folder) == reference
            if kills == KILLS:
                break
            # All is done: something must be there to be killed in.
            done = sorted(folder.glob("cells/**/result.json"))
            shutil.rmtree(moments.choice(done).parent)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
    assert re.search("C2KD, seed 0, going on after epoch [12]", said)


def written(folder):
    """Checkpoints and results; a folder may go while it is looked at."""
    found = {
        os.path.join(at, name) for at, _, names in os.walk(folder) for name in names
    }
    return {name for name in found if name.endswith((".npz", "/result.json"))}


def wait_for(process, folder, pattern):
    while not list(folder.glob(pattern)):
        assert process.poll() is None
        time.sleep(0.05)


def outcome(folder):
    """Its tables, and the results of the first seed's trainings."""
    tables = [(folder / f"table.{kind}").read_bytes() for kind in ("csv", "md")]
    found = results(folder).items()
    return tables, {c: r for c, r in found if c.endswith(("/teacher", "/seed0"))}


@pytest.mark.slow
def test_it_runs_on_jax_too(tmp_path, run_in):
    flags = (*SMOKE, "--methods=alone,c2kd", "--workers=2")
    done = run_in(tmp_path, *flags, backend="jax")
    assert "3/3" in done.stdout
    settings = json.loads((tmp_path / "run" / "contest.json").read_text())
    assert settings["backend"] == "jax"
    counts = results(tmp_path / "run")["cells/depth-to-rgb/c2kd/seed0"]["krc_histogram"]
    assert [sum(epoch) for epoch in counts["counts"]] == [8]
