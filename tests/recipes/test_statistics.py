"""The statistics of a contest, against SciPy, NumPy and values by hand."""

import itertools

import numpy as np
import pytest
from contest.krc_histogram import bins
from contest.paired import bootstrap_interval, deviation, difference
from contest.tables import probability
from scipy import stats

SCORES = [0.71, 0.74, 0.69, 0.75, 0.72]
BASE = [0.70, 0.71, 0.70, 0.71, 0.70]


def test_mean_p_and_wins_are_those_of_numpy_and_scipy():
    found = difference(SCORES, BASE)
    assert found.mean == pytest.approx(0.018)
    assert found.p == pytest.approx(stats.ttest_rel(SCORES, BASE).pvalue)
    assert (found.wins, found.ties, found.losses) == (4, 0, 1)


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0472, "0.047"), (0.0524, "0.052"), (0.2349, "0.23"), (0.001, "< 0.01")],
)
def test_a_p_is_told_from_that_of_a_verdict(p, said):
    assert probability(p) == said


def test_the_interval_is_that_of_all_resamples():
    differences = np.subtract(SCORES, BASE)
    means = np.mean(list(itertools.product(differences, repeat=5)), axis=1)
    exact = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(differences), exact, atol=5e-4)


def test_the_interval_of_two_seeds_reaches_from_one_to_the_other():
    # The mean is one of them in half of all resamples.
    assert bootstrap_interval(np.array([0.1, -0.3])) == (-0.3, 0.1)


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ([0.010, 0.012, 0.011, 0.013, 0.009], "better"),
        ([-0.010, -0.012, -0.011, -0.013, -0.009], "worse"),
        ([0.010, -0.012, 0.001, 0.003, -0.004], "not significant"),
        ([0.001, 0.002, 0.001, 0.090, 0.080], "not significant"),  # p = 0.1
        ([0.010, 0.012, 0.011, 0.013], "too few seeds"),
        ([0.0] * 5, "not significant"),
    ],
)
def test_verdicts(differences, verdict):
    assert difference(differences, np.zeros(len(differences))).verdict == verdict


def test_an_interval_without_zero_is_not_enough():
    found = difference([0.001, 0.002, 0.001, 0.090, 0.080], np.zeros(5))
    assert found.low > 0 and found.p > 0.05


def test_one_seed_has_no_spread():
    found = difference([0.5], [0.25])
    assert (found.mean, found.low, found.high, found.p) == (0.25, None, None, None)
    assert (found.wins, found.verdict) == (1, "too few seeds")
    assert deviation([0.5]) is None
    assert deviation(SCORES) == pytest.approx(np.std(SCORES, ddof=1))


@pytest.mark.parametrize("classes", [3, 8, 10, 40])
def test_every_bin_but_the_last_holds_equally_many_rank_correlations(classes):
    pairs = classes * (classes - 1) // 2
    possible = np.arange(-pairs, pairs + 1, 2) / pairs
    counts = np.histogram(possible, bins(classes))[0]
    assert counts.sum() == len(possible) and len(counts) <= 32
    assert len(set(counts[:-1])) == 1 and 0 < counts[-1] <= counts[0]
