"""Statistics of a contest: methods on the same seeds, compared seed by seed."""

import dataclasses
import warnings

import numpy as np
from scipy import stats

FEWEST = 5  # seeds: with fewer an interval says nothing
LEVEL = 0.95
RESAMPLES = 9999


@dataclasses.dataclass(frozen=True)
class Difference:
    """A method minus a baseline, over the seeds of both.

    Attributes:
        mean: of the differences.
        low: where the bootstrap interval begins; None with one seed.
        high: where it ends.
        p: of a paired t-test, two-sided; None where there is no spread.
        wins: seeds on which the method is better.
        ties: seeds on which both are equal.
        losses: seeds on which it is worse.
        verdict: `"better"`, `"worse"`, `"not significant"` or `"too few seeds"`.
    """

    mean: float
    low: float | None
    high: float | None
    p: float | None
    wins: int
    ties: int
    losses: int
    verdict: str


def difference(scores, baseline) -> Difference:
    """Compares two methods on the same seeds.

    A difference is called significant where the 95 % bootstrap interval of its mean
    leaves out 0 and the paired t-test agrees (p < 0.05). Both are asked for, since on
    five seeds the interval alone is too narrow: without any effect it leaves out 0
    about once in six times.

    Args:
        scores: of the method, one per seed.
        baseline: of the baseline, for the same seeds in the same order.

    Returns:
        `Difference`.
    """
    differences = np.subtract(scores, baseline)
    low, high = bootstrap_interval(differences)
    p = t_test(differences)
    return Difference(
        mean=float(differences.mean()),
        low=low,
        high=high,
        p=p,
        wins=int((differences > 0).sum()),
        ties=int((differences == 0).sum()),
        losses=int((differences < 0).sum()),
        verdict=verdict(differences, low, high, p),
    )


def bootstrap_interval(differences):
    """Percentile bootstrap of the mean; None, None with one value."""
    if len(differences) < 2:
        return None, None
    interval = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def t_test(differences):
    """p of `mean == 0`; None where all are equal, which is no sample of anything."""
    if len(differences) < 2 or np.ptp(differences) == 0:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # nearly equal values
        return float(stats.ttest_1samp(differences, 0.0).pvalue)


def verdict(differences, low, high, p):
    """In the words of the table."""
    if len(differences) < FEWEST:
        return "too few seeds"
    if low <= 0.0 <= high or (p is not None and p >= 1 - LEVEL):
        return "not significant"
    return "better" if low > 0 else "worse"


def deviation(values) -> float | None:
    """Standard deviation over seeds; None with one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None
