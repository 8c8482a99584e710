"""KL divergences from detached soft labels, over all or the non-target classes."""

from typing import Any

from keras import ops

# Stands for the logit of a class that is left out. Finite, so that its log
# probability times its probability, which is 0, is 0 and not NaN.
_LEFT_OUT = -1e30


def kl_divergence(soft_labels: Any, logits: Any, temperature: float = 1.0) -> Any:
    """`D(a -> b)`: how far logits `b` are from the detached soft labels of `a`.

    Both sides of C2KD learn from each other; detaching the side that teaches keeps
    each term a lesson in one direction.

        D(a -> b) = T^2 sum_i q_i(a) [log q_i(a) - log q_i(b)],   q(z) = softmax(z / T)

    Args:
        soft_labels: Logits that teach, shape `(..., C)`; no gradient reaches them.
        logits: Logits that learn, shape `(..., C)`.
        temperature: `T > 0`, divides both; the factor `T^2` keeps the gradient's size.

    Returns:
        float32 of shape `(...)`, in nats times `T^2`.

    Example:

    >>> from keras_c2kd.ops import kl_divergence
    >>> round(float(kl_divergence([[2.0, 0.0]], [[0.0, 2.0]])[0]), 4)
    1.5232

    Reference:
        G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
        Network", NIPS workshop, 2014.
    """
    teaching = ops.stop_gradient(ops.cast(soft_labels, "float32")) / temperature
    learning = ops.cast(logits, "float32") / temperature
    return temperature**2 * _divergence(teaching, learning)


def non_target_kl_divergence(
    soft_labels: Any,
    logits: Any,
    labels: Any,
    temperature: float = 1.0,
    non_target: str = "renormalized",
) -> Any:
    """`D(~a -> ~b)`: the divergence over the classes that are not the label.

    What a modality knows of the target class is its own; how it relates the other
    classes to each other is what C2KD lets cross.

    `non_target="renormalized"` is the paper's equation: a softmax over the `C - 1`
    classes other than the label. `"zero_logit"` is the authors' released code: the
    target's logit is multiplied by zero, so `exp(0)` of it stays in the softmax.

    Args:
        soft_labels: Logits that teach, shape `(..., C)`; no gradient reaches them.
        logits: Logits that learn, shape `(..., C)`.
        labels: The target class of each row, shape `(...)`, integers.
        temperature: `T > 0`, see `kl_divergence`.
        non_target: `"renormalized"` or `"zero_logit"`.

    Returns:
        float32 of shape `(...)`, in nats times `T^2`.

    Raises:
        ValueError: unknown `non_target`.

    Example:

    >>> from keras_c2kd.ops import non_target_kl_divergence
    >>> loss = non_target_kl_divergence([[9.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]], [0])
    >>> round(float(loss[0]), 4)
    0.4621

    Reference:
        F. Huo et al., "C2KD: Bridging the Modality Gap for Cross-Modal Knowledge
        Distillation", CVPR 2024.
    """
    check_non_target(non_target)
    teaching = ops.stop_gradient(ops.cast(soft_labels, "float32")) / temperature
    learning = ops.cast(logits, "float32") / temperature
    left_out = _LEFT_OUT if non_target == "renormalized" else 0.0
    teaching, learning = (
        _without_target(z, labels, left_out) for z in (teaching, learning)
    )
    return temperature**2 * _divergence(teaching, learning)


def non_target_log_softmax(logits: Any, labels: Any) -> Any:
    """Log probabilities over the classes that are not the label.

    Args:
        logits: Shape `(..., C)`.
        labels: The target class of each row, shape `(...)`, integers.

    Returns:
        float32 of shape `(..., C)`; at the target a large negative number.
    """
    logits = ops.cast(logits, "float32")
    return ops.log_softmax(_without_target(logits, labels, _LEFT_OUT), axis=-1)


def _without_target(logits, labels, left_out):
    target = ops.one_hot(labels, logits.shape[-1], dtype="bool")
    return ops.where(target, left_out, logits)


def target_kl_divergence(
    soft_labels: Any, logits: Any, labels: Any, temperature: float = 1.0
) -> Any:
    """The divergence of how probable the target is, against all other classes.

    With it the whole divergence falls into two parts: what `a` says of the target, and
    how it relates the other classes, weighted by how little it gives to the target.

        TCKD(a -> b) = T^2 sum_{c in {y, not y}} q_c(a) [log q_c(a) - log q_c(b)]
        D(a -> b) = TCKD(a -> b) + (1 - q_y(a)) D(~a -> ~b)

    Args:
        soft_labels: Logits that teach, shape `(..., C)`; no gradient reaches them.
        logits: Logits that learn, shape `(..., C)`.
        labels: The target class of each row, shape `(...)`, integers.
        temperature: `T > 0`, see `kl_divergence`.

    Returns:
        float32 of shape `(...)`, in nats times `T^2`.

    Example:

    >>> from keras_c2kd.ops import target_kl_divergence
    >>> round(float(target_kl_divergence([[2.0, 0.0]], [[0.0, 2.0]], [0])[0]), 4)
    1.5232

    Reference:
        B. Zhao et al., "Decoupled Knowledge Distillation", CVPR 2022.
    """
    teaching = ops.stop_gradient(ops.cast(soft_labels, "float32")) / temperature
    learning = ops.cast(logits, "float32") / temperature
    target = ops.one_hot(labels, learning.shape[-1], dtype="bool")
    return temperature**2 * _divergence(
        _target_against_rest(teaching, target), _target_against_rest(learning, target)
    )


def _target_against_rest(logits, target):
    """Logits of two classes: the target, and all others together."""
    of_target = ops.sum(ops.where(target, logits, 0.0), axis=-1)
    rest = ops.logsumexp(ops.where(target, _LEFT_OUT, logits), axis=-1)
    return ops.stack([of_target, rest], axis=-1)


def check_non_target(non_target: str) -> None:
    """Refuse a reading of "non-target" that does not exist."""
    if non_target not in ("renormalized", "zero_logit"):
        raise ValueError(
            'Expected `non_target` to be "renormalized" (the paper) or "zero_logit" '
            f"(the released code). Received: non_target={non_target!r}"
        )


def _divergence(teaching, learning):
    teaching = ops.log_softmax(teaching, axis=-1)
    learning = ops.log_softmax(learning, axis=-1)
    return ops.sum(ops.exp(teaching) * (teaching - learning), axis=-1)
