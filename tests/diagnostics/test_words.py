"""What is said of a gap: no more than its standard errors carry."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from scipy import stats

from keras_c2kd.diagnostics import measure_modality_gap
from keras_c2kd.diagnostics.words import sign
from tests.diagnostics.oracle import NAMES, logits, measure, net


@example(30, 4, 0)  # four in a row: p = 0.125
@given(st.integers(2, 2000), st.integers(0, 200), st.integers(0, 200))
def test_a_difference_is_claimed_only_where_mcnemars_exact_test_agrees(n, b, c):
    """`b` samples only the teacher gets right, `c` only the student."""
    assume(0 < b + c <= n)
    d = np.repeat([1.0, -1.0, 0.0], [b, c, n - b - c])
    gap = SimpleNamespace(samples=n, positions=n)
    claim = sign(gap, d.mean(), stats.sem(d))
    if claim:
        assert n >= 30 and claim == np.sign(b - c)
        # Twice the standard error is the 5 % level, give or take its rounding.
        assert stats.binomtest(b, b + c).pvalue < 0.06


@given(st.floats(-1, 1), st.floats(0, 1), st.integers(1, 10_000))
def test_no_claim_within_two_standard_errors(difference, error, n):
    gap = SimpleNamespace(samples=n, positions=n)
    claim = sign(gap, difference, error)
    assert claim == -sign(gap, -difference, error)
    if abs(difference) <= 2 * error or n < 30:
        assert claim == 0
    assert sign(gap, difference, float("nan")) == 0


def right_on(wins, n, classes=3):
    """Logits of a net that is right on the first `wins` of `n` samples."""
    labels = np.arange(n) % classes
    says = np.where(np.arange(n) < wins, labels, (labels + 1) % classes)
    return 4 * np.eye(classes, dtype="float32")[says], labels


@pytest.mark.parametrize(
    ("teacher", "student", "n", "verdict"),
    [
        (90, 60, 100, "The teacher is stronger."),
        (60, 90, 100, "The student is stronger."),
        (64, 60, 100, "Neither is clearly stronger."),
        (60, 60, 100, "Neither is clearly stronger."),
        (29, 0, 29, "Neither is clearly stronger."),
        (1, 0, 1, "Neither is clearly stronger."),
    ],
)
def test_who_is_stronger(teacher, student, n, verdict):
    z_teacher, labels = right_on(teacher, n)
    z_student, _ = right_on(student, n)
    words = str(measure(z_teacher, z_student, labels))
    assert verdict in words and "nan" not in words
    assert ("no difference is claimed" in words) == (n < 30)
    share = 100 * (teacher - student) / n
    assert f"a difference of {share:+.1f} points" in words


def test_the_lines_and_their_figures():
    z_teacher, labels = right_on(90, 100)
    z_student, _ = right_on(60, 100)
    lines = str(measure(z_teacher, z_student, labels)).splitlines()
    starts = ["Teacher on depth, student on rgb: 100 samples, 3 classes."]
    starts += ["Imbalance: accuracy 90.0 % (teacher) and 60.0 % (student)"]
    starts += ["Misalignment: mean KRC", "Agreement: the same class for 70.0 %"]
    starts += ["For C2KD: KRC is above 0 for 70.0 %, which is what"]
    assert all(line.startswith(s) for line, s in zip(lines, starts, strict=True))
    error = stats.sem(np.arange(100) // 30 == 2)  # 30 of 100 differ
    assert f"with a standard error of {100 * error:.1f};" in lines[1]
    assert "Of what the teacher gets right the student misses 33.3 %." in lines[3]


def test_without_references_nothing_is_said_of_the_modality(rng):
    words = str(measure(*logits(rng, 2, 40, 4), np.arange(40) % 4))
    assert "stays open what of this is the modality" in words
    assert "within" not in words


def test_references_that_differ_as_much_are_no_gap(rng):
    depth, rgb = logits(rng, 2, 100, 2, 4)
    words = str(
        measure_modality_gap(
            net(4, row=0),
            net(4, row=0),
            {"depth": depth, "rgb": rgb},
            np.arange(100) % 4,
            references=(net(4, row=1), net(4, row=1)),
            **NAMES,
        )
    )
    assert "Not clearly less across than within depth and rgb." in words
    assert "agree less" not in words


def test_what_is_said_of_the_selection(rng):
    z = logits(rng, 40, 4)
    assert "nearly everything through" in str(measure(z, z, np.arange(40) % 4))
    assert "nearly nothing through" in str(measure(z, -z, np.arange(40) % 4))
    assert "nearly" not in str(measure(z[:20], z[:20], np.arange(20) % 4))
    two = str(measure(z[:, :2], z[:, :2], np.arange(40) % 2))
    assert 'OFSD(classes="all")' in two and "nearly" not in two


def test_a_teacher_that_is_never_right(rng):
    z, labels = right_on(0, 40)
    words = str(measure(z, right_on(40, 40)[0], labels))
    assert "Of what the teacher gets right" not in words


def test_labelled_pixels_are_counted(rng):
    labels = np.zeros((40, 3), int)
    labels[:, 0] = -1
    words = str(measure(*logits(rng, 2, 40, 3, 4), labels))
    assert "40 samples, 4 classes, 80 labelled positions." in words
