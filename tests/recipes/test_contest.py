"""Which cells a contest has, and what it remembers."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import compare
import pytest
from contest import cells
from contest.folder import DATA, Cell, Contest
from contest.plan import Plan
from methods import METHODS, RIVALS

PAIR = ("depth", "rgb")


def a_plan(**changes):
    options = {"directions": [PAIR], "methods": ["alone", "c2kd"], "seeds": range(3, 5)}
    return Plan(**{**options, **changes})


def finish(contest, cell, validation):
    contest.at(cell).mkdir(parents=True)
    result = {"validation": {"value": validation}}
    if validation is None:
        result = {"diverged": "Expected finite inputs"}
    (contest.at(cell) / "result.json").write_text(json.dumps(result))


def test_all_methods_of_a_seed_come_before_the_next_seed(tmp_path):
    plan = a_plan(directions=[PAIR, PAIR[::-1]])
    planned = plan.cells(plan.choose(Contest(tmp_path)))
    assert [(c.seed, c.teacher, c.method) for c in planned] == [
        (seed, teacher, method)
        for seed in (3, 4)
        for teacher in PAIR
        for method in ("alone", "c2kd")
    ]
    assert plan.trainings() == len(planned) + 2
    assert [c.path.as_posix() for c in planned[:2]] == [
        "cells/depth-to-rgb/alone/seed3",
        "cells/depth-to-rgb/c2kd/seed3",
    ]


@pytest.mark.parametrize(
    ("changes", "roles"),
    [
        ({}, ["student"]),
        ({"directions": [PAIR, PAIR[::-1]]}, ["teacher-student"] * 2),
        ({"seeds": [3]}, []),  # a net of the same seed would be the same net
        ({"methods": ["kd", "c2kd"]}, []),
    ],
)
def test_the_gap_is_held_against_nets_of_another_seed(tmp_path, changes, roles):
    plan = a_plan(**changes)
    gaps = plan.gaps(plan.choose(Contest(tmp_path)))
    assert [cell.setting for cell in gaps] == roles
    assert not any(cell.trains for cell in gaps)


def test_the_gap_is_of_nets_that_are_there_whatever_a_search_chose():
    plan = a_plan(directions=[PAIR, PAIR[::-1]], search=3)
    chosen = {(PAIR, "alone"): "1x", (PAIR[::-1], "alone"): "3x"}
    assert plan.gaps(chosen) == [Cell(*PAIR, "gap", 3, "student")]


def test_a_cell_is_known_by_its_name():
    for cell in (DATA, Cell(*PAIR, "c2kd", 7, "0.3x")):
        assert Cell.from_name(cell.name) == cell


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ({"1x": 0.5, "0.3x": 0.6, "3x": 0.4}, "0.3x"),
        ({"1x": 0.5, "0.3x": 0.5, "3x": 0.5}, "1x"),  # of equal ones the paper's
        ({"1x": None, "0.3x": 0.0, "3x": None}, "0.3x"),  # two that diverged
        ({"1x": None, "0.3x": None, "3x": None}, "1x"),
    ],
)
def test_a_search_chooses_by_validation_with_the_first_seed(tmp_path, values, chosen):
    plan, contest = a_plan(search=3), Contest(tmp_path)
    tried = plan.search_cells()
    settings = ["1x", "0.3x", "3x"]
    assert tried == [
        Cell(*PAIR, method, 3, setting)
        for method in ("alone", "c2kd")
        for setting in settings
    ]
    for cell in tried[:3]:
        finish(contest, cell, 0.1)
    for setting, value in values.items():
        finish(contest, Cell(*PAIR, "c2kd", 3, setting), value)
    found = plan.choose(contest)
    assert found == {(PAIR, "alone"): "1x", (PAIR, "c2kd"): chosen}
    assert all(len(method.search) == 3 for method in map(METHODS.get, RIVALS))
    to_run = plan.cells(found)
    assert to_run[1] in tried  # it is not trained again
    assert plan.trainings() == 1 + len(set(tried) | set(to_run))


def test_a_setting_that_was_killed_ends_a_search(tmp_path):
    plan, contest = a_plan(search=3), Contest(tmp_path)
    for cell in plan.teachers():
        finish(contest, cell, 0.1)
    killed = plan.search_cells()[-1]

    class Workers:
        failed = []

        def run(self, cells):
            self.failed += [cell for cell in cells if cell == killed]

    contest.at(killed).mkdir(parents=True)
    (contest.at(killed) / "output.txt").write_text("Out of memory\n")
    with pytest.raises(SystemExit, match="Out of memory"):
        compare.run_cells(contest, plan, Workers())


def test_a_training_that_diverges_is_a_result_but_not_the_student_alone(monkeypatch):
    def diverge(*args, **kwargs):
        raise FloatingPointError("Received: a non-finite loss")

    monkeypatch.setattr(cells, "load_teacher", lambda *_: None)
    flags = SimpleNamespace(learning_rate=0.1, student="rgb", seed=0)
    monkeypatch.setattr(cells, "FLAGS", flags)
    training = SimpleNamespace(
        data=SimpleNamespace(classes=8), distilled=diverge, train_alone=diverge
    )
    contest = Contest(Path("run"))
    found = cells.student(training, contest, Cell(*PAIR, "fitnets"))
    assert found == {"diverged": "Received: a non-finite loss"}
    of_search = Cell(*PAIR, "alone", 0, "3x")
    assert cells.student(training, contest, of_search) == found
    for compared in (Cell(*PAIR, "alone"), Cell(*PAIR, "alone", 1, "3x")):
        with pytest.raises(FloatingPointError):
            cells.student(training, contest, compared)


def test_one_contest_at_a_time_writes_to_a_folder(tmp_path):
    held = Contest(tmp_path).lock()
    with pytest.raises(ValueError, match="no other contest"):
        Contest(tmp_path).lock(patience=0.2)
    os.close(held)
    os.close(Contest(tmp_path).lock(patience=0.2))


def test_faults_of_a_teacher_are_said_before_anything_is_distilled(tmp_path, capsys):
    plan, contest = a_plan(directions=[PAIR, PAIR[::-1]]), Contest(tmp_path)
    for cell, faults in zip(
        plan.teachers(), (["It learned nothing."], []), strict=True
    ):
        contest.at(cell).mkdir(parents=True)
        result = json.dumps({"faults": faults})
        (contest.at(cell) / "result.json").write_text(result)
    compare.say_faults(contest, plan.teachers())
    said = capsys.readouterr().out
    assert said == "depth to rgb: teacher, seed 3: It learned nothing.\n"
