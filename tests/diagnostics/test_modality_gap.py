import dataclasses
import itertools
import json

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from keras_c2kd.diagnostics import measure_modality_gap
from tests.diagnostics import oracle
from tests.diagnostics.oracle import NAMES, figures, logits, measure, net

close = pytest.approx


@pytest.mark.parametrize(("n", "classes"), [(50, 5), (41, 2), (1, 3)])
def test_every_figure_is_that_of_numpy_and_scipy(rng, n, classes):
    teacher, student = logits(rng, 2, n, classes)
    labels = rng.integers(classes, size=n)
    gap = measure(teacher, student, labels, batch_size=16)
    assert (gap.samples, gap.positions, gap.num_classes) == (n, n, classes)

    rights = [oracle.right(z, labels) for z in (teacher, student)]
    targets = [oracle.target_probability(z, labels) for z in (teacher, student)]
    of = gap.imbalance
    assert of.teacher_accuracy == close(rights[0].mean())
    assert of.student_accuracy == close(rights[1].mean())
    assert of.accuracy_difference == close(rights[0].mean() - rights[1].mean())
    assert of.teacher_target_probability == close(targets[0].mean(), rel=1e-5)
    assert of.student_target_probability == close(targets[1].mean(), rel=1e-5)
    assert of.target_probability_difference == close(
        np.mean(targets[0] - targets[1]), abs=1e-6
    )
    if n > 1:
        assert of.accuracy_error == close(stats.sem(rights[0] - rights[1]))
        assert of.target_probability_error == close(
            stats.sem(targets[0] - targets[1]), rel=1e-4
        )
    else:
        assert np.isnan([of.accuracy_error, of.target_probability_error]).all()

    krc, across = oracle.krc(teacher, student), gap.misalignment.across
    assert across.mean == close(krc.mean(), abs=1e-6)
    assert across.standard_deviation == close(krc.std(), abs=1e-6)
    assert across.above_zero == close(np.mean(krc > 1e-6))
    for one, two, ours in (
        (teacher, student, gap.misalignment.teacher_to_student_kl),
        (student, teacher, gap.misalignment.student_to_teacher_kl),
    ):
        assert ours == close(
            oracle.non_target_kl(one, two, labels).mean(), rel=1e-4, abs=1e-6
        )

    of = gap.agreement
    assert of.same_prediction == close(
        np.mean(teacher.argmax(axis=1) == student.argmax(axis=1))
    )
    assert of.both_right == close(np.mean(rights[0] * rights[1]))
    assert of.only_teacher_right == close(np.mean(rights[0] * (1 - rights[1])))
    assert of.only_student_right == close(np.mean(rights[1] * (1 - rights[0])))
    assert of.neither_right == close(np.mean((1 - rights[0]) * (1 - rights[1])))


# Few values, so that ties and rows that are constant are common.
ROWS = hnp.arrays(
    "float32", (2, 8, 4), elements=st.integers(-2, 2).map(float), fill=st.nothing()
)


@settings(max_examples=25)
@given(ROWS, st.floats(-5, 5, width=16))
def test_ties_constant_rows_swaps_and_shifts(rows, shift):
    labels = np.arange(8) % 4
    rows = 2 * rows + 10  # a sum of 1 would pass for probabilities
    there = measure(*rows, labels)
    krc = oracle.krc(*rows)
    assert there.misalignment.across.mean == close(krc.mean(), abs=1e-6)
    assert there.misalignment.across.above_zero == np.mean(krc > 1e-6)
    assert sum(there.misalignment.across.histogram) == 8

    back = measure(*rows[::-1], labels)
    assert back.misalignment.across == there.misalignment.across
    assert back.imbalance.accuracy_difference == -there.imbalance.accuracy_difference
    assert back.imbalance.accuracy_error == close(there.imbalance.accuracy_error)
    assert back.agreement.only_student_right == there.agreement.only_teacher_right
    assert back.misalignment.teacher_to_student_kl == close(
        there.misalignment.student_to_teacher_kl
    )
    assert there.misalignment.teacher_to_student_kl >= -1e-6
    assert sum(dataclasses.astuple(there.agreement)[1:]) == close(1.0)

    shifted = measure(rows[0] + np.float32(shift), rows[1], labels)
    assert shifted.agreement == there.agreement
    assert shifted.imbalance.teacher_target_probability == close(
        there.imbalance.teacher_target_probability, rel=1e-4
    )


def test_the_histogram_puts_each_rank_correlation_in_its_own_bin():
    # Of five classes KRC is 1 - inversions / 5, which is the edge of a bin.
    orders = np.array(list(itertools.permutations(range(5))), "float32")
    pairs = list(itertools.combinations(range(5), 2))
    inversions = sum((orders[:, a] > orders[:, b]).astype(int) for a, b in pairs)
    expected = np.bincount(np.minimum(20 - 2 * inversions, 19), minlength=20)
    first = np.broadcast_to(np.arange(5, dtype="float32"), orders.shape)
    gap = measure(first, orders, np.arange(120) % 5)
    assert gap.misalignment.across.histogram == tuple(expected)


def test_nets_of_one_modality_against_nets_of_two(rng):
    depth, rgb = logits(rng, 2, 60, 2, 5)
    depth[:, 1] = depth[:, 0] + 0.3 * depth[:, 1]
    gap = measure_modality_gap(
        net(5, row=0),
        net(5, row=0),
        {"depth": depth, "rgb": rgb},
        np.arange(60) % 5,
        references=(net(5, row=1), net(5, row=1)),
        **NAMES,
    )
    across = oracle.krc(depth[:, 0], rgb[:, 0])
    for ours, z in (
        (gap.misalignment.within_teacher, depth),
        (gap.misalignment.within_student, rgb),
    ):
        krc = oracle.krc(z[:, 0], z[:, 1])
        assert ours.mean == close(krc.mean(), abs=1e-6)
        assert ours.above_across == close(np.mean(krc - across), abs=1e-6)
        assert ours.above_across_error == close(stats.sem(krc - across), rel=1e-5)
    assert "Ranks agree less across than within depth." in str(gap)
    assert "Not clearly less across than within rgb." in str(gap)


# === Dense logits ===


def test_void_positions_are_left_out_and_errors_are_over_images(rng):
    teacher, student = logits(rng, 2, 12, 2, 3, 4)
    labels = rng.integers(4, size=(12, 2, 3))
    labels[:, 0, 0] = 255
    labels[:, 1, 1] = -1
    gap = measure(teacher, student, labels, batch_size=5)
    assert (gap.samples, gap.positions) == (12, 48)
    counted = (labels >= 0) & (labels < 4)
    t, s, y = teacher[counted], student[counted], labels[counted]
    assert gap.imbalance.teacher_accuracy == close(oracle.right(t, y).mean())
    assert gap.misalignment.across.mean == close(oracle.krc(t, s).mean(), abs=1e-6)
    assert gap.misalignment.teacher_to_student_kl == close(
        oracle.non_target_kl(t, s, y).mean(), rel=1e-4
    )
    assert sum(gap.misalignment.across.histogram) == 48
    # Every image has four positions, so that its mean is one observation.
    per_image = (oracle.right(t, y) - oracle.right(s, y)).reshape(12, 4).mean(axis=1)
    assert gap.imbalance.accuracy_error == close(stats.sem(per_image))
    one_hot = np.eye(4)[np.clip(labels, 0, 3)] * counted[..., None]
    assert measure(teacher, student, one_hot, batch_size=5) == gap


def test_images_with_few_labels_weigh_less(rng):
    teacher, student = logits(rng, 2, 80, 9, 3)
    labels = rng.integers(3, size=(80, 9))
    labels[np.arange(9) >= rng.integers(0, 10, size=(80, 1))] = -1
    gap = measure(teacher, student, labels)
    counts = (labels >= 0).sum(axis=1)
    assert gap.samples == np.sum(counts > 0) < 80
    d = oracle.right(teacher, labels) - oracle.right(student, labels)
    d = np.where(labels >= 0, d, 0).sum(axis=1)
    assert gap.imbalance.accuracy_difference == close(d.sum() / counts.sum())
    left = stats.bootstrap(
        (d, counts),
        lambda d, n, axis: d.sum(axis=axis) / n.sum(axis=axis),
        paired=True,
        n_resamples=2000,
        method="basic",
        rng=0,
    )
    assert gap.imbalance.accuracy_error == close(left.standard_error, rel=0.1)


def test_a_label_may_be_ignored_by_name(rng):
    teacher, student = logits(rng, 2, 12, 4)
    labels = np.arange(12) % 4
    gap = measure(teacher, student, labels, ignore_class=0)
    rest = labels != 0
    expected = measure(teacher[rest], student[rest], labels[rest])
    np.testing.assert_allclose(figures(gap), figures(expected), rtol=1e-5)
    # -1 is no class; as the label that is ignored it is none to refuse either.
    assert measure(teacher, student, np.where(rest, labels, -1), ignore_class=-1) == gap


# === Which samples ===


def test_samples_that_lack_a_modality_are_left_out(rng):
    teacher, student = logits(rng, 2, 40, 4)
    labels = rng.integers(4, size=40)
    depth, rgb = rng.random((2, 40)) > 0.2
    there = depth & rgb
    expected = measure(teacher[there], student[there], labels[there])
    teacher[~depth], student[~rgb] = np.nan, np.inf
    labels[~depth] = -7  # the others keep a valid label
    present = {"depth": depth, "rgb": rgb[:, None].astype("float32")}
    data = {"depth": teacher, "rgb": student, "present": present}
    gap = measure_modality_gap(net(4), net(4), data, labels, **NAMES)
    assert gap.incomplete == np.sum(~there) > 0
    assert f"{gap.incomplete} that lack a modality are left out" in str(gap)
    expected = dataclasses.replace(expected, incomplete=gap.incomplete)
    np.testing.assert_allclose(figures(gap), figures(expected), rtol=1e-5)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_logits_are_measured_in_float32(rng, policy):
    teacher, student = logits(rng, 2, 32, 6)
    data = {"depth": teacher, "rgb": student}
    nets = net(6, dtype=policy), net(6, dtype=policy)
    half = keras.dtype_policies.get(policy).compute_dtype
    rounded = [
        np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(z, half)), "float32")
        for z in (teacher, student)
    ]
    labels = np.arange(32) % 6
    gap = measure_modality_gap(*nets, data, labels, **NAMES)
    across = gap.misalignment.across
    assert across.mean == close(oracle.krc(*rounded).mean(), abs=1e-6)
    assert gap.imbalance.teacher_target_probability == close(
        oracle.target_probability(rounded[0], labels).mean(), rel=1e-5
    )


def test_huge_logits_stay_finite():
    teacher = np.array([[1e30, -1e30, 0.0], [1e4, 0.0, -1e4]] * 4, "float32")
    gap = measure(teacher, teacher[:, ::-1].copy(), np.arange(8) % 3)
    figures = keras.tree.flatten(gap.to_dict())
    assert all(np.isfinite(v) for v in figures if isinstance(v, float))


def test_all_of_it_goes_to_json_and_one_sample_has_no_error():
    gap = measure(np.eye(3)[:1] * 5, np.eye(3)[1:2] * 5, np.array([0]))
    read = json.loads(json.dumps(gap.to_dict(), allow_nan=False))
    assert read["imbalance"]["accuracy_error"] is None
    assert read["imbalance"]["accuracy_difference"] == 1.0
    assert read["misalignment"]["within_teacher"] is None
    assert sum(read["misalignment"]["across"]["histogram"]) == 1
