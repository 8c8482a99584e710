import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from keras import ops

from keras_c2kd.ops import select_samples
from keras_c2kd.ops.selection import part_of

ROWS = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [5, 5, 5]], "float32")
OTHERS = np.array([[1, 2, 3], [1, 3, 2], [3, 2, 1], [1, 2, 3]], "float32")


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.0, [True, True, False, False]),
        (1 / 3, [True, False, False, False]),  # strict: the second row's KRC is 1/3
        (-1.0, [True, True, False, False]),
        (1.0, [False, False, False, False]),
    ],
)
def test_a_sample_crosses_strictly_above_the_threshold(threshold, expected):
    krc, selected = select_samples(ROWS, OTHERS, threshold=threshold)
    np.testing.assert_allclose(ops.convert_to_numpy(krc), [1, 1 / 3, -1, 0], atol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), expected)


def test_a_constant_row_is_never_selected_even_below_zero():
    _, selected = select_samples(ROWS, OTHERS, threshold=-0.5)
    assert not bool(selected[3])


# === Per sample ===


def dense(rng, shape=(6, 4, 5), classes=7):
    """Ties, some constant rows, and agreement that grows with the sample."""
    x, y = np.round(rng.normal(size=(2, *shape, classes)))
    x, y = x.astype("float32"), y.astype("float32")
    y += x * np.linspace(-1, 1, shape[0]).reshape(-1, 1, 1, 1).astype("float32")
    x[rng.random(shape) < 0.2] = 1.0
    return x, y


def by_scipy(x, y):
    rows = zip(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]), strict=True)
    krc = [scipy.stats.kendalltau(a, b).statistic for a, b in rows]
    return np.array(krc).reshape(x.shape[:-1])  # NaN where there is none


@pytest.mark.parametrize("threshold", [-0.2, 0.0, 0.3])
@pytest.mark.parametrize("masked", [False, True])
def test_a_sample_crosses_as_a_whole_by_its_mean(rng, threshold, masked):
    x, y = dense(rng)
    mask = rng.random(x.shape[:-1]) < 0.6 if masked else None
    krc, selected = select_samples(
        x, y, threshold=threshold, select="sample", mask=mask
    )
    expected = by_scipy(x, y)
    np.testing.assert_allclose(
        ops.convert_to_numpy(krc), np.nan_to_num(expected), atol=1e-6
    )
    counted = np.isfinite(expected) & (True if mask is None else mask)
    means = np.array([k[c].mean() for k, c in zip(expected, counted, strict=True)])
    assert np.abs(means - threshold).min() > 1e-3  # no test of rounding
    crosses = np.broadcast_to((means > threshold)[:, None, None], expected.shape)
    crosses = crosses if mask is None else crosses & mask
    assert 0 < crosses.any((1, 2)).sum() < len(x)
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), crosses)


@pytest.mark.parametrize("select", ["position", "sample"])
def test_a_sample_of_void_or_constant_rows_is_never_selected(rng, select):
    x = rng.normal(size=(4, 3, 5)).astype("float32")
    y = x.copy()
    x[1] = 2.0
    mask = np.ones((4, 3), bool)
    mask[2] = False
    x[3, :2], mask[3, 2] = 0.0, False  # what is not void is constant
    _, selected = select_samples(x, y, threshold=-0.5, select=select, mask=mask)
    assert ops.convert_to_numpy(selected).any(1).tolist() == [True, False, False, False]


def test_void_positions_take_no_part_in_the_mean():
    x = np.array([[[1, 2, 3], [1, 2, 3], [1, 2, 3]]], "float32")
    y = np.array([[[1, 2, 3], [3, 2, 1], [3, 2, 1]]], "float32")
    mask = np.array([[True, True, False]])
    outcomes = [
        ops.convert_to_numpy(
            select_samples(x, y, threshold=-0.1, select="sample", mask=m)[1]
        )
        for m in (None, mask)
    ]
    assert not outcomes[0].any()  # the mean is -1/3
    np.testing.assert_array_equal(outcomes[1], mask)  # the mean is 0


def test_where_a_sample_is_one_position_both_ways_are_one(rng):
    x, y = np.round(rng.normal(size=(2, 40, 5))).astype("float32")
    mask = rng.random(40) < 0.7
    one, two = (
        ops.convert_to_numpy(
            select_samples(x, y, threshold=0.1, select=select, mask=mask)[1]
        )
        for select in ("position", "sample")
    )
    np.testing.assert_array_equal(one, two)


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="Received: select='image'"):
        select_samples(ROWS, OTHERS, select="image")


# === Other rules ===


@pytest.mark.parametrize("fraction", [0.01, 0.3, 1.0])
def test_the_highest_fraction_crosses(rng, fraction):
    x, y = rng.normal(size=(2, 40, 9)).astype("float32")
    x[:4] = 1.0  # four rows without a rank correlation are not part of the forty
    mask = np.ones(40, bool)
    mask[4:8] = False
    krc, selected = select_samples(
        x, y, rule="top_fraction", fraction=fraction, mask=mask
    )
    expected = by_scipy(x, y)
    bar = np.sort(expected[8:])[::-1][int(np.ceil(fraction * 32)) - 1]
    expected = (np.nan_to_num(expected, nan=-2) >= bar) & mask
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), expected)


def test_what_weighs_nothing_takes_no_ones_place(rng):
    x, y = rng.normal(size=(2, 40, 9)).astype("float32")
    x[::4], weight = y[::4], np.ones(40, "float32")  # the highest weigh nothing
    weight[::4] = 0.0
    _, selected = select_samples(
        x, y, rule="top_fraction", fraction=0.3, sample_weight=weight
    )
    _, alone = select_samples(
        x[weight > 0], y[weight > 0], rule="top_fraction", fraction=0.3
    )
    expected = np.zeros(40, bool)
    expected[weight > 0] = ops.convert_to_numpy(alone)
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), expected)


PERCENT = [f"{i / 100:.2f}" for i in range(1, 101)]
FINER = ["0.001", "0.007", "0.123", "0.999", "0.0001", "0.0625", "0.1234", "0.9999"]


@pytest.mark.parametrize("literals", [PERCENT, FINER], ids=["percent", "finer"])
def test_a_fraction_is_what_was_written(literals):
    counts = [*range(1, 601), 1000, 4096, 10**5, 2**24 + 1, 10**7, 2**31 - 1]
    for literal in literals:
        expected = [math.ceil(Fraction(literal) * n) for n in counts]
        ours = part_of(ops.convert_to_tensor(counts, "int32"), float(literal))
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), expected, literal)


def test_a_fraction_that_is_no_decimal():
    counts = np.arange(1, 1000)
    for third in (1 / 3, np.float32(1 / 3)):
        ours = part_of(ops.convert_to_tensor(counts, "int32"), third)
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), -(-counts // 3))


@pytest.mark.parametrize(
    ("fraction", "count", "expected"), [(0.3, 100, 30), (0.6, 25, 15), (0.07, 100, 7)]
)
def test_no_more_than_the_fraction_cross(fraction, count, expected):
    """float32 has 0.3 * 100 above 30."""
    x = np.tile(np.arange(16, dtype="float32"), (count, 1))
    y = np.stack([with_inversions(i, 16) for i in range(count)])
    _, selected = select_samples(x, y, rule="top_fraction", fraction=fraction)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(selected), np.arange(count) < expected
    )


def with_inversions(number, size):
    """A permutation of that many inversions: each number has a KRC of its own."""
    rest, result = list(range(size)), []
    while rest:
        place = min(number, len(rest) - 1)
        number -= place
        result.append(rest.pop(place))
    return np.array(result, "float32")


def test_nobody_is_among_the_highest_of_none():
    x = np.ones((3, 4), "float32")
    _, selected = select_samples(x, x, rule="top_fraction", fraction=1.0)
    assert not ops.convert_to_numpy(selected).any()


def test_both_correct():
    labels = np.array([2, 2, 0, 2])
    _, selected = select_samples(
        ROWS, OTHERS, ops.convert_to_tensor(labels), "both_correct"
    )
    assert ops.convert_to_numpy(selected).tolist() == [True, False, False, False]
    with pytest.raises(ValueError, match="Received: labels=None"):
        select_samples(ROWS, OTHERS, rule="both_correct")


def test_of_a_dense_sample_most_positions_must_be_correct():
    x = np.eye(3, dtype="float32")[[[0, 1, 2], [0, 1, 2]]]
    labels = ops.convert_to_tensor(np.array([[0, 1, 1], [0, 2, 1]]))
    _, selected = select_samples(x, x, labels, "both_correct", select="sample")
    assert ops.convert_to_numpy(selected).tolist() == [[True] * 3, [False] * 3]


def test_all_but_the_void_cross():
    mask = np.array([True, False, True, True])
    _, selected = select_samples(ROWS, OTHERS, rule="all", mask=mask)
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), mask)


def test_tau_a_counts_ties_as_disagreement():
    x, y = np.array([[1, 2, 2, 3]], "float32"), np.array([[1, 2, 3, 4]], "float32")
    for variant, expected in (("a", 5 / 6), ("b", 5 / np.sqrt(5 * 6))):
        krc, _ = select_samples(x, y, variant=variant)
        np.testing.assert_allclose(ops.convert_to_numpy(krc), [expected], atol=1e-6)


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="Received: rule='best'"):
        select_samples(ROWS, OTHERS, rule="best")
