"""On-the-Fly Selection: the one place where a sample is let through."""

from fractions import Fraction
from typing import Any

from keras import ops

from keras_c2kd.ops.kendall import defined_kendall_rank_correlation
from keras_c2kd.ops.reduction import align

RULES = ("krc", "top_fraction", "both_correct", "all")
_LARGEST_DENOMINATOR = 46340  # whose square is still an int32


def select_samples(
    teacher_logits: Any,
    student_logits: Any,
    labels: Any = None,
    rule: str = "krc",
    threshold: Any = 0.0,
    fraction: float = 0.5,
    variant: str = "b",
    select: str = "position",
    mask: Any = None,
    sample_weight: Any = None,
) -> tuple[Any, Any]:
    """Which samples' knowledge may cross, or which positions of a sample.

    Soft labels of another modality mislead where the two modalities see the classes
    differently; such samples are kept out of the cross-modal terms. With the Kendall
    rank correlation KRC of the two sets of logits (in C2KD, of the proxies):

        "krc"           KRC > threshold, strictly                      the paper
        "top_fraction"  KRC among the highest `fraction` of the batch
        "both_correct"  both predict the label
        "all"           everything

    Logits of several positions a sample (pixels) are let through one by one, or all
    or none of a sample's: `select="sample"` compares the mean over those of its
    positions that count: of the KRC, or of the share where both are correct with 0.5.

    Args:
        teacher_logits: Shape `(B, ..., C)`.
        student_logits: Shape `(B, ..., C)`.
        labels: Integers, shape `(B, ...)`; for `"both_correct"`.
        rule: One of the four above.
        threshold: In [-1, 1], a number or a scalar tensor; the paper uses 0.0.
        fraction: In (0, 1]; ties with the last one that is let through follow it.
        variant: `"b"` or `"a"`, see `keras_c2kd.ops.kendall_rank_correlation`.
        select: `"position"` or `"sample"`; the same where a sample is one position.
        mask: `None`, or bool of shape `(B, ...)`; where False (a void pixel) a
            position is not selected and counts in no mean.
        sample_weight: `None`, `(B,)` or `(B, ...)`; by `"top_fraction"` what has a
            weight of 0 is not selected, and takes no other one's place.

    Returns:
        `krc`, float32, and `selected`, bool, one value per position, shape `(B, ...)`.
        A constant row has no rank correlation; by the first two rules a position, or
        a sample in which no position has one, is never selected then.

    Raises:
        ValueError: unknown `rule` or `select`, or no labels where they are needed.

    Example:

    >>> from keras_c2kd.ops import select_samples
    >>> krc, selected = select_samples(
    ...     [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], [[0.0, 2.0, 9.0], [3.0, 2.0, 1.0]]
    ... )
    >>> [bool(row) for row in selected]
    [True, False]

    Reference:
        F. Huo et al., "C2KD", CVPR 2024, section 3.3 (threshold 0.0 and tau-b:
        released code). The other rules are for ablations.
    """
    check_selection(rule, select)
    krc, defined = defined_kendall_rank_correlation(
        teacher_logits, student_logits, variant
    )
    everywhere = ops.ones_like(defined) if mask is None else ops.cast(mask, "bool")
    if rule == "both_correct":
        score = _both_correct(teacher_logits, student_logits, labels)
    else:
        score = krc if rule != "all" else ops.ones_like(krc)
    if rule in ("krc", "top_fraction"):
        counted = ops.logical_and(everywhere, defined)
        if rule == "top_fraction" and sample_weight is not None:
            weight = align(ops.cast(sample_weight, "float32"), krc)
            counted = ops.logical_and(counted, weight > 0.0)
    else:
        counted, threshold = everywhere, 0.5
    if select == "sample" and len(krc.shape) > 1:
        score, counted = _means(score, counted)
    if rule == "top_fraction":
        passes = _among_highest(score, counted, fraction)
    else:
        passes = score > threshold
    return krc, ops.logical_and(everywhere, ops.logical_and(counted, passes))


def _both_correct(teacher_logits, student_logits, labels):
    if labels is None:
        raise ValueError(
            'Expected labels for rule="both_correct". Received: labels=None'
        )
    correct = (
        ops.equal(ops.cast(ops.argmax(logits, axis=-1), labels.dtype), labels)
        for logits in (teacher_logits, student_logits)
    )
    return ops.cast(ops.logical_and(*correct), "float32")


def _means(score, counted):
    """Of each sample, over the positions that count; and whether there are any."""
    positions = tuple(range(1, len(score.shape)))
    count = ops.sum(ops.cast(counted, "float32"), axis=positions, keepdims=True)
    total = ops.sum(ops.where(counted, score, 0.0), axis=positions, keepdims=True)
    return total / ops.maximum(count, 1.0), count > 0


def _among_highest(score, counted, fraction):
    last = part_of(ops.sum(ops.cast(counted, "int32")), fraction) - 1
    ranked = ops.sort(ops.reshape(ops.where(counted, -score, 2.0), (-1,)))
    return -score <= ops.take(ranked, ops.maximum(last, 0))


def part_of(count: Any, fraction: float) -> Any:
    """`ceil(fraction * count)`, of the fraction as it was written.

    Args:
        count: int32, any shape.
        fraction: In [0, 1]; taken as the nearest fraction with a denominator of up to
            46,340, which decimals of four digits are.

    Returns:
        int32, the shape of `count`.
    """
    # In integers: 0.3 * 100 is more than 30 in float32, and its ceil would be 31.
    nearest = Fraction(float(fraction)).limit_denominator(_LARGEST_DENOMINATOR)
    over, under = nearest.numerator, nearest.denominator
    whole, rest = count // under, count % under
    return over * whole + (over * rest + under - 1) // under


def check_selection(rule: str, select: str) -> None:
    """Refuse a way of selecting that does not exist."""
    if rule not in RULES:
        raise ValueError(f"Expected `rule` to be one of {RULES}. Received: {rule=}")
    if select not in ("position", "sample"):
        raise ValueError(
            'Expected `select` to be "position" (each pixel for itself) or "sample" '
            "(all or none of a sample, by its mean rank correlation). "
            f"Received: select={select!r}"
        )
