"""Kendall's rank correlation, counted exactly on any Keras backend."""

import functools
from typing import Any

import keras
from keras import ops

from keras_c2kd.backend import compiled
from keras_c2kd.ops.pairs import MOST_CLASSES, count_pairs


def kendall_rank_correlation(x: Any, y: Any, variant: str = "b") -> Any:
    """Kendall's tau between the class rankings of two sets of logits.

    Two models whose logits order the classes alike agree on how classes relate to
    each other; C2KD lets knowledge cross between modalities only for such samples.

    With `P` concordant and `Q` discordant of the `n = C (C - 1) / 2` class pairs, and
    `n_x`, `n_y` the pairs not tied in `x`, `y`:

        tau_a = (P - Q) / n            tau_b = (P - Q) / sqrt(n_x n_y)

    Counts are integers, so the result is exact up to one float32 rounding. No
    gradient flows through it. Memory grows as `N C`; time as `N C^2` up to about two
    thousand classes, from there on as `N C log C` (and `N C^1.5` of comparisons).

    Args:
        x: Logits, shape `(..., C)`, any float dtype.
        y: Logits, shape `(..., C)`, the same shape as `x`.
        variant: `"b"` (ties discounted, as `scipy.stats.kendalltau`) or `"a"`.

    Returns:
        float32 of shape `(...)` in [-1, 1]. A row that is constant, or holds NaN,
        has no rank correlation and gives 0.0.

    Raises:
        ValueError: unknown `variant`, different or missing numbers of classes, or more
            than 65,536 of them.

    Example:

    >>> from keras_c2kd.ops import kendall_rank_correlation
    >>> krc = kendall_rank_correlation([[1.0, 2.0, 3.0]], [[1.0, 3.0, 2.0]])
    >>> round(float(krc[0]), 4)
    0.3333

    Reference:
        M. G. Kendall, "The Treatment of Ties in Ranking Problems", Biometrika, 1945.
    """
    return defined_kendall_rank_correlation(x, y, variant)[0]


def defined_kendall_rank_correlation(x, y, variant="b"):
    """`(krc, defined)`: the rank correlation, and where there is one."""
    if variant not in ("a", "b"):
        raise ValueError(
            'Expected `variant` to be "a" (Kendall\'s tau-a) or "b" (tau-b). '
            f"Received: variant={variant!r}"
        )
    x = ops.stop_gradient(ops.cast(x, "float32"))
    y = ops.stop_gradient(ops.cast(y, "float32"))
    classes = x.shape[-1] if len(x.shape) else None
    if classes is None or len(x.shape) != len(y.shape) or classes != y.shape[-1]:
        raise ValueError(
            "Expected `x` and `y` of the same shape (..., classes). "
            f"Received: x.shape={tuple(x.shape)}, y.shape={tuple(y.shape)}"
        )
    if classes > MOST_CLASSES:
        raise ValueError(
            f"Expected at most {MOST_CLASSES} classes. "
            f"Received: x.shape={tuple(x.shape)}"
        )
    if isinstance(x, keras.KerasTensor) or isinstance(y, keras.KerasTensor):
        return Correlation(variant).symbolic_call(x, y)
    return _CORRELATIONS[variant](x, y)


@keras.saving.register_keras_serializable(package="keras_c2kd")
class Correlation(keras.Operation):
    """The same as a node of a Functional model, which then need not know its parts."""

    def __init__(self, variant):
        super().__init__()
        self.variant = variant

    def call(self, x, y):
        return defined_kendall_rank_correlation(x, y, self.variant)

    def compute_output_spec(self, x, y):
        shape = x.shape[:-1]
        return keras.KerasTensor(shape, "float32"), keras.KerasTensor(shape, "bool")


def _correlation(x, y, variant):
    difference, untied_x, untied_y = count_pairs(x, y)
    defined = ops.logical_and(untied_x > 0, untied_y > 0)
    unordered = ops.any(ops.logical_or(ops.isnan(x), ops.isnan(y)), axis=-1)
    defined = ops.logical_and(defined, ops.logical_not(unordered))
    if variant == "a":
        pairs = x.shape[-1] * (x.shape[-1] - 1) // 2
        pairs = ops.ones_like(difference) * pairs
        untied_x = untied_y = pairs
    scale = ops.sqrt(ops.cast(untied_x, "float32") * ops.cast(untied_y, "float32"))
    krc = ops.cast(difference, "float32") / ops.maximum(scale, 1.0)
    return ops.where(defined, krc, 0.0), defined


# One program each: the few small operations around the counting cost as much as that.
_CORRELATIONS = {
    variant: compiled(functools.partial(_correlation, variant=variant))
    for variant in ("a", "b")
}
