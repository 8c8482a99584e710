"""On-the-Fly Selection: the one place where a sample is let through."""

from typing import Any

from keras import ops

from keras_c2kd.ops.kendall import defined_kendall_rank_correlation


def select_by_rank_correlation(
    teacher_proxy_logits: Any, student_proxy_logits: Any, threshold: float = 0.0
) -> tuple[Any, Any]:
    """Which samples both proxies rank alike.

    Soft labels of another modality mislead where the two modalities see the classes
    differently; such samples are kept out of the cross-modal terms.

        selected = defined and KRC(p_T, p_S) > threshold           (strict)

    Args:
        teacher_proxy_logits: Shape `(..., C)`.
        student_proxy_logits: Shape `(..., C)`.
        threshold: In [-1, 1]; the paper uses 0.0.

    Returns:
        `krc`, float32 of shape `(...)`, and `selected`, bool of shape `(...)`. A
        constant row has no rank correlation and is never selected.

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
    krc, defined = defined_kendall_rank_correlation(
        teacher_proxy_logits, student_proxy_logits
    )
    return krc, ops.logical_and(defined, krc > threshold)
