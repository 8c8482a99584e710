"""Which cells a contest has, what it remembers, and its methods."""

import json
import os

import keras
import numpy as np
import pytest
from contest.folder import DATA, Cell, Contest
from contest.plan import Plan
from methods import ABLATIONS, METHODS, Pair, check_methods

from tests.helpers import dense_net, pairs

PAIR = ("depth", "rgb")


def a_plan(**changes):
    options = {"directions": [PAIR], "methods": ["alone", "c2kd"], "seeds": range(3, 5)}
    return Plan(**{**options, **changes})


def finish(contest, cell, validation):
    contest.at(cell).mkdir(parents=True)
    result = {"validation": {"value": validation}}
    (contest.at(cell) / "result.json").write_text(json.dumps(result))


def test_all_methods_of_a_seed_come_before_the_next_seed(tmp_path):
    plan = a_plan(directions=[PAIR, PAIR[::-1]])
    cells = plan.cells(plan.choose(Contest(tmp_path)))
    assert [(c.seed, c.teacher, c.method) for c in cells] == [
        (seed, teacher, method)
        for seed in (3, 4)
        for teacher in PAIR
        for method in ("alone", "c2kd")
    ]
    assert plan.trainings() == len(cells) + 2
    assert [c.path.as_posix() for c in cells[:2]] == [
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
def test_the_gap_is_held_against_nets_of_another_seed(changes, roles):
    gaps = a_plan(**changes).gaps()
    assert [cell.setting for cell in gaps] == roles
    assert not any(cell.trains for cell in gaps)


def test_a_cell_is_known_by_its_name():
    for cell in (DATA, Cell(*PAIR, "c2kd", 7, "0.3x")):
        assert Cell.from_name(cell.name) == cell


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        ({"1x": 0.5, "0.3x": 0.6, "3x": 0.4}, "0.3x"),
        ({"1x": 0.5, "0.3x": 0.5, "3x": 0.5}, "1x"),  # of equal ones the paper's
        ({"1x": 0.5, "3x": 0.7}, "3x"),  # one that could not be trained
    ],
)
def test_a_search_chooses_by_validation_with_the_first_seed(tmp_path, values, chosen):
    plan, contest = a_plan(search=3), Contest(tmp_path)
    tried = plan.search_cells()
    settings = ["1x", "0.3x", "3x"]
    assert tried == [
        Cell(*PAIR, "alone", 3),
        *(Cell(*PAIR, "c2kd", 3, setting) for setting in settings),
    ]
    finish(contest, tried[0], 0.1)
    for setting, value in values.items():
        finish(contest, Cell(*PAIR, "c2kd", 3, setting), value)
    found = plan.choose(contest)
    assert found == {(PAIR, "alone"): "1x", (PAIR, "c2kd"): chosen}
    cells = plan.cells(found)
    assert cells[1] in tried  # it is not trained again
    assert plan.trainings() == 1 + len(set(tried) | set(cells))


def test_a_method_that_cannot_be_trained_ends_a_search(tmp_path):
    with pytest.raises(ValueError, match="one setting of alone that can be trained"):
        a_plan(search=3).choose(Contest(tmp_path))


def test_one_contest_at_a_time_writes_to_a_folder(tmp_path):
    held = Contest(tmp_path).lock()
    with pytest.raises(ValueError, match="no other contest"):
        Contest(tmp_path).lock(patience=0.2)
    os.close(held)
    os.close(Contest(tmp_path).lock(patience=0.2))


def test_unknown_and_repeated_methods_are_refused():
    for names in (["alone", "c3kd"], ["alone", "alone"], []):
        with pytest.raises(ValueError, match="Received: --methods="):
            check_methods(names)


def distiller(method, settings):
    teacher, student = dense_net(4, name="teacher"), dense_net(6, name="student")
    teacher.trainable = not method.frozen
    taps = ("features", "features")
    return method.build(Pair(teacher, student, PAIR, taps, taps, steps=6), **settings)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.build])
def test_a_method_trains_a_student_and_its_teacher_as_it_says(name):
    method = METHODS[name]
    first, *others = method.search.values()
    model = distiller(method, first)
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    before = [m.get_weights()[0].copy() for m in (model.teacher, model.student)]
    logs = model.fit(*pairs(), batch_size=8, verbose=0).history
    assert np.isfinite(logs["loss"]).all() and "accuracy" in logs
    after = [m.get_weights()[0] for m in (model.teacher, model.student)]
    assert np.array_equal(before[0], after[0]) == method.frozen
    assert not np.array_equal(before[1], after[1])
    for settings in others:
        assert distiller(method, settings).term_names == model.term_names


def test_a_search_scales_the_weights_of_the_paper():
    assert METHODS["fitnets"].search == {
        "1x": {"weight": 100.0},
        "0.3x": {"weight": 30.0},
        "3x": {"weight": 300.0},
    }


CHANGED = {
    "c2kd_frozen": "frozen",
    "c2kd_one_way": "bidirectional",
    "c2kd_no_proxies": "proxies",
    "c2kd_all_samples": "rule",
    "c2kd_target": "classes",
    "c2kd_all_classes": "classes",
    "c2kd_zero_logit": "non_target",
    "c2kd_tau_a": "variant",
    "c2kd_threshold": "threshold",
    "c2kd_both_correct": "rule",
    "c2kd_hot": "temperature",
    "c2kd_warmup": "cross_modal_weight",
}


def test_an_ablation_changes_one_thing_of_c2kd():
    def settings(name):
        config = distiller(METHODS[name], {}).get_config()
        values = config.pop("ofsd")["config"] | config
        values |= {"frozen": METHODS[name].frozen}
        owned = ("name", "teacher", "student", "teacher_proxy", "student_proxy")
        return {key: value for key, value in values.items() if key not in owned}

    paper = settings("c2kd")
    for name in ABLATIONS:
        found = settings(name)
        assert {key for key in paper if paper[key] != found[key]} == {CHANGED[name]}
