"""The six distillation terms of C2KD, next to the paper's equation."""

from typing import Any

from keras import ops

from keras_c2kd.ops.divergence import (
    kl_divergence,
    non_target_kl_divergence,
    target_kl_divergence,
)
from keras_c2kd.ops.reduction import batch_mean
from keras_c2kd.ops.selection import select_samples


def c2kd_loss_terms(
    labels: Any,
    teacher_logits: Any,
    student_logits: Any,
    teacher_proxy_logits: Any,
    student_proxy_logits: Any,
    threshold: float = 0.0,
    temperature: float = 1.0,
    non_target: str = "renormalized",
    sample_weight: Any = None,
    mask: Any = None,
    select: str = "position",
    rule: str = "krc",
    fraction: float = 0.5,
    variant: str = "b",
    classes: str = "non_target",
) -> dict[str, Any]:
    """All that C2KD adds to the two task losses, term by term.

    With `f` logits, `p` proxy logits, `T`/`S` teacher/student, `D(a -> b)` the KL
    divergence from the detached soft labels of `a` to the prediction of `b`, and `~`
    the classes other than the label:

        L = H(f_T, y) + H(f_S, y)
          + l1 [D(f_T -> p_T) + D(p_T -> f_T)]           unimodal, teacher side
          + l2 [D(f_S -> p_S) + D(p_S -> f_S)]           unimodal, student side
          + l3 eta [D(~p_T -> ~p_S) + D(~p_S -> ~p_T)]   cross-modal, selected samples

        eta = 1 if KRC(p_T, p_S) > threshold else 0      per sample, no gradient

    Every term is a mean over the whole batch, not over the selected samples, and is
    computed in float32 whatever the dtype of the logits.

    Args:
        labels: The target class, integers of shape `(B, ...)`, or one-hot
            `(B, ..., C)`.
        teacher_logits: `f_T`, shape `(B, ..., C)`.
        student_logits: `f_S`, shape `(B, ..., C)`.
        teacher_proxy_logits: `p_T`, shape `(B, ..., C)`.
        student_proxy_logits: `p_S`, shape `(B, ..., C)`.
        threshold: A sample crosses where its KRC is strictly above this.
        temperature: Divides the logits of all six terms, each times its square.
        non_target: `"renormalized"` (the paper's equation) or `"zero_logit"` (the
            released code), see `keras_c2kd.ops.non_target_kl_divergence`.
        sample_weight: Scales a sample's terms, shape `(B,)` or `(B, ...)`; the
            denominator stays the batch.
        mask: bool, shape `(B, ...)`; where False (a void pixel) the position leaves
            the denominator too, is never selected, and may have any label.
        select: Of dense logits, `"position"` lets each pixel cross for itself,
            `"sample"` all or none of a sample's, by their mean KRC; see
            `keras_c2kd.ops.select_samples`, also for the next three.
        rule: `"krc"` (the paper), `"top_fraction"`, `"both_correct"` or `"all"`.
        fraction: What `"top_fraction"` lets through.
        variant: Kendall's tau-`"b"` (the released code) or tau-`"a"` (as printed).
        classes: What of the soft labels crosses: `"non_target"` (the paper, NCKD),
            `"target"` (TCKD: how probable the target is, against all others) or
            `"all"`.

    Returns:
        A dict of float32 scalars named `X_to_Y` (soft labels of X teach Y):
        `teacher_to_teacher_proxy`, `teacher_proxy_to_teacher`,
        `student_to_student_proxy`, `student_proxy_to_student`,
        `teacher_proxy_to_student_proxy`, `student_proxy_to_teacher_proxy`; and per
        sample `krc` (float32) and `selected` (bool), shape `(B, ...)`.

    Raises:
        ValueError: fewer than two classes, or shapes that do not go together.

    Example:

    >>> import numpy as np
    >>> from keras_c2kd.losses import c2kd_loss_terms
    >>> logits = np.random.default_rng(0).normal(size=(4, 8, 5)).astype("float32")
    >>> terms = c2kd_loss_terms(np.arange(8) % 5, *logits)
    >>> terms["selected"].shape == (8,)
    True

    Reference:
        F. Huo, W. Xu, J. Guo, H. Wang, S. Guo, "C2KD: Bridging the Modality Gap for
        Cross-Modal Knowledge Distillation", CVPR 2024. Weights of 1 and the threshold
        0.0 are those of the released code.
    """
    f_t, f_s, p_t, p_s = as_float32(
        teacher_logits=teacher_logits,
        student_logits=student_logits,
        teacher_proxy_logits=teacher_proxy_logits,
        student_proxy_logits=student_proxy_logits,
    )
    check_classes(classes)
    y = as_class_indices(labels, f_t)
    if mask is not None:
        y = ops.where(mask, y, 0)  # 255, say, would be no class
    krc, selected = select_samples(
        p_t,
        p_s,
        y,
        rule,
        threshold,
        fraction,
        variant,
        select,
        mask,
        sample_weight,
    )

    def unimodal(a, b):
        return batch_mean(kl_divergence(a, b, temperature), sample_weight, mask)

    def cross_modal(a, b):
        loss = _divergence(a, b, y, temperature, non_target, classes)
        return batch_mean(ops.where(selected, loss, 0.0), sample_weight, mask)

    return {
        "teacher_to_teacher_proxy": unimodal(f_t, p_t),
        "teacher_proxy_to_teacher": unimodal(p_t, f_t),
        "student_to_student_proxy": unimodal(f_s, p_s),
        "student_proxy_to_student": unimodal(p_s, f_s),
        "teacher_proxy_to_student_proxy": cross_modal(p_t, p_s),
        "student_proxy_to_teacher_proxy": cross_modal(p_s, p_t),
        "krc": krc,
        "selected": selected,
    }


def _divergence(a, b, y, temperature, non_target, classes):
    if classes == "target":
        return target_kl_divergence(a, b, y, temperature)
    if classes == "all":
        return kl_divergence(a, b, temperature)
    return non_target_kl_divergence(a, b, y, temperature, non_target)


def check_classes(classes: str) -> None:
    """Refuse a part of the classes that does not exist."""
    if classes not in ("non_target", "target", "all"):
        raise ValueError(
            'Expected `classes` to be "non_target", "target" or "all". '
            f"Received: classes={classes!r}"
        )


def as_float32(**logits) -> list[Any]:
    """The four logits in float32, once they are known to go together."""
    tensors = {name: ops.convert_to_tensor(value) for name, value in logits.items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    first = next(iter(shapes.values()))
    alike = all(
        len(shape) == len(first) and shape[1:] == first[1:] for shape in shapes.values()
    )
    if len(first) < 2 or not alike:
        raise ValueError(
            "Expected all logits to have the same shape (batch, ..., classes). "
            f"Received: {', '.join(f'{k}.shape={v}' for k, v in shapes.items())}"
        )
    if first[-1] < 2:
        raise ValueError(
            "Expected at least two classes: with one there is nothing to rank and "
            f"nothing to distil. Received: teacher_logits.shape={first}"
        )
    return [ops.cast(tensor, "float32") for tensor in tensors.values()]


def as_class_indices(labels: Any, logits: Any) -> Any:
    """Labels as integers of the logits' leading shape; one-hot labels are undone."""
    labels = ops.convert_to_tensor(labels)
    rank, classes = len(logits.shape), logits.shape[-1]
    if len(labels.shape) == rank and labels.shape[-1] == 1:
        labels = ops.squeeze(labels, axis=-1)
    elif len(labels.shape) == rank and labels.shape[-1] == classes:
        labels = ops.argmax(labels, axis=-1)
    if len(labels.shape) != rank - 1:
        raise ValueError(
            "Expected one label per row of the logits, as integers (batch, ...) or "
            f"one-hot (batch, ..., {classes}). Received: "
            f"labels.shape={tuple(labels.shape)}, logits.shape={tuple(logits.shape)}"
        )
    return ops.cast(labels, "int32")
