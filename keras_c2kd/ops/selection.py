"""On-the-Fly Selection: the one place where a sample is let through."""

from typing import Any

from keras import ops

from keras_c2kd.ops.kendall import defined_kendall_rank_correlation


def select_by_rank_correlation(
    teacher_proxy_logits: Any,
    student_proxy_logits: Any,
    threshold: float = 0.0,
    select: str = "position",
    mask: Any = None,
) -> tuple[Any, Any]:
    """What both proxies rank alike: which samples, or which positions of a sample.

    Soft labels of another modality mislead where the two modalities see the classes
    differently; such samples are kept out of the cross-modal terms.

        selected = defined and KRC(p_T, p_S) > threshold           (strict)

    Logits of several positions a sample (pixels) are let through one by one, or all
    or none of a sample's: `select="sample"` compares the mean KRC over those of its
    positions that have one and are not masked.

    Args:
        teacher_proxy_logits: Shape `(B, ..., C)`.
        student_proxy_logits: Shape `(B, ..., C)`.
        threshold: In [-1, 1]; the paper uses 0.0.
        select: `"position"` or `"sample"`; the same where a sample is one position.
        mask: `None`, or bool of shape `(B, ...)`; where False (a void pixel) a
            position is not selected and counts in no mean.

    Returns:
        `krc`, float32, and `selected`, bool, one value per position, shape `(B, ...)`.
        A constant row has no rank correlation; a position, or a sample in which no
        position has one, is never selected then.

    Raises:
        ValueError: unknown `select`.

    Example:

    >>> from keras_c2kd.ops import select_by_rank_correlation
    >>> krc, selected = select_by_rank_correlation(
    ...     [[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]], [[0.0, 2.0, 9.0], [3.0, 2.0, 1.0]]
    ... )
    >>> [bool(row) for row in selected]
    [True, False]

    Reference:
        F. Huo et al., "C2KD", CVPR 2024, section 3.3 (threshold 0.0: released code).
    """
    check_select(select)
    krc, defined = defined_kendall_rank_correlation(
        teacher_proxy_logits, student_proxy_logits
    )
    counted = defined
    if mask is not None:
        mask = ops.cast(mask, "bool")
        counted = ops.logical_and(defined, mask)
    if select == "position" or len(krc.shape) < 2:
        return krc, ops.logical_and(counted, krc > threshold)
    positions = tuple(range(1, len(krc.shape)))
    count = ops.sum(ops.cast(counted, "float32"), axis=positions, keepdims=True)
    total = ops.sum(ops.where(counted, krc, 0.0), axis=positions, keepdims=True)
    # Without a count the total is 0, which may be above the threshold all the same.
    crosses = ops.logical_and(count > 0, total / ops.maximum(count, 1.0) > threshold)
    everywhere = ops.ones_like(defined) if mask is None else mask
    return krc, ops.logical_and(everywhere, crosses)


def check_select(select: str) -> None:
    """Refuse a way of selecting that does not exist."""
    if select not in ("position", "sample"):
        raise ValueError(
            'Expected `select` to be "position" (each pixel for itself) or "sample" '
            "(all or none of a sample, by its mean rank correlation). "
            f"Received: select={select!r}"
        )
