"""Kendall's rank correlation, counted exactly on any Keras backend."""

import math
from typing import Any

from keras import ops

# Up to this many classes all pairs are compared at once; beyond it, a loop over
# blocks of the second operand keeps memory at N x C x _BLOCK.
_AT_ONCE = 32
_BLOCK = 8
# From this many positions a sample on (pixels), rows are counted a few thousand at a
# time: what is compared stays in the cache, and memory does not grow with the image.
_DENSE = 256
_ELEMENTS = 1 << 18
_UNROLLED = 64  # classes


def kendall_rank_correlation(x: Any, y: Any, variant: str = "b") -> Any:
    """Kendall's tau between the class rankings of two sets of logits.

    Two models whose logits order the classes alike agree on how classes relate to
    each other; C2KD lets knowledge cross between modalities only for such samples.

    With `P` concordant and `Q` discordant of the `n = C (C - 1) / 2` class pairs, and
    `n_x`, `n_y` the pairs not tied in `x`, `y`:

        tau_a = (P - Q) / n            tau_b = (P - Q) / sqrt(n_x n_y)

    Counts are integers, so the result is exact up to one float32 rounding. No
    gradient flows through it. Time grows as `N C^2`, memory as `N C`.

    Args:
        x: Logits, shape `(..., C)`, any float dtype.
        y: Logits, shape `(..., C)`, the same shape as `x`.
        variant: `"b"` (ties discounted, as `scipy.stats.kendalltau`) or `"a"`.

    Returns:
        float32 of shape `(...)` in [-1, 1]. A row that is constant, or holds NaN,
        has no rank correlation and gives 0.0.

    Raises:
        ValueError: unknown `variant`, or different or missing numbers of classes.

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
    difference, untied_x, untied_y = count_pairs(x, y)
    defined = ops.logical_and(untied_x > 0, untied_y > 0)
    unordered = ops.any(ops.logical_or(ops.isnan(x), ops.isnan(y)), axis=-1)
    defined = ops.logical_and(defined, ops.logical_not(unordered))
    if variant == "a":
        pairs = ops.ones_like(difference) * (classes * (classes - 1) // 2)
        untied_x = untied_y = pairs
    scale = ops.sqrt(ops.cast(untied_x, "float32") * ops.cast(untied_y, "float32"))
    krc = ops.cast(difference, "float32") / ops.maximum(scale, 1.0)
    return ops.where(defined, krc, 0.0), defined


def count_pairs(x, y):
    """Concordant minus discordant, untied in `x`, untied in `y`: int32, shape (...)."""
    positions = x.shape[1:-1]
    if None in positions or math.prod(positions) < _DENSE:
        return _count_rows(x, y)
    return _count_dense(x, y)


def _count_dense(x, y):
    """The same for `(B, ..., C)` with many positions, some rows at a time."""
    positions, classes = math.prod(x.shape[1:-1]), x.shape[-1]
    unrolled = classes <= _UNROLLED
    count_rows = _count_classes_first if unrolled else _count_rows
    rows = _ELEMENTS // (classes if unrolled else classes * _BLOCK)
    rows = min(max(rows, 1), positions)
    blocks = math.ceil(positions / rows)

    def in_blocks(z):
        z = ops.reshape(z, (-1, positions, classes))
        z = ops.pad(z, [[0, 0], [0, blocks * rows - positions], [0, 0]])
        return ops.reshape(z, (-1, rows, classes))

    counts = ops.map(
        lambda block: ops.stack(count_rows(*block)), (in_blocks(x), in_blocks(y))
    )

    def unblocked(count):
        count = ops.reshape(count, (-1, blocks * rows))[:, :positions]
        return ops.reshape(count, (-1, *x.shape[1:-1]))

    return tuple(unblocked(counts[:, i]) for i in range(3))


def _count_classes_first(x, y):
    """Each class against the one `shift` further on: long vectors, every pair once."""
    x, y = ops.transpose(x), ops.transpose(y)
    difference = untied_x = untied_y = 0.0
    for shift in range(1, x.shape[0]):
        sign_x = _order(x[shift:], x[:-shift])
        sign_y = _order(y[shift:], y[:-shift])
        difference += ops.sum(sign_x * sign_y, axis=0)
        untied_x += ops.sum(sign_x * sign_x, axis=0)
        untied_y += ops.sum(sign_y * sign_y, axis=0)
    # So few pairs are counted exactly in float32, which is faster than integers.
    return tuple(ops.cast(n, "int32") for n in (difference, untied_x, untied_y))


def _order(a, b):
    """1 where a > b, -1 where a < b; a difference could overflow or underflow."""
    return ops.cast(a > b, "float32") - ops.cast(a < b, "float32")


def _count_rows(x, y):
    classes = x.shape[-1]
    if classes <= _AT_ONCE:
        return _count_against(x, y, x, y)
    blocks = math.ceil(classes / _BLOCK)
    padded_x, padded_y = _pad(x, blocks * _BLOCK), _pad(y, blocks * _BLOCK)
    columns = ops.reshape(ops.arange(blocks * _BLOCK), (blocks, _BLOCK))

    def add_block(block, counts):
        index = ops.take(columns, block, axis=0)
        new = _count_against(
            x, y, ops.take(padded_x, index, axis=-1), ops.take(padded_y, index, axis=-1)
        )
        return tuple(count + more for count, more in zip(counts, new, strict=True))

    zeros = ops.zeros_like(x[..., 0], dtype="int32")
    return ops.fori_loop(0, blocks, add_block, (zeros, zeros, zeros))


def _count_against(x, y, x_block, y_block):
    """Every class of `x`, `y` against the classes of a block, each pair seen once.

    A pair is counted from its larger side, so the two orders of a pair never add up.
    """
    x, y = x[..., :, None], y[..., :, None]
    x_block, y_block = x_block[..., None, :], y_block[..., None, :]
    x_above, y_above, y_below = x > x_block, y > y_block, y < y_block
    concordant = _count(ops.logical_and(x_above, y_above))
    discordant = _count(ops.logical_and(x_above, y_below))
    return concordant - discordant, _count(x_above), _count(y_above)


def _count(pairs):
    return ops.sum(ops.cast(pairs, "int32"), axis=(-2, -1))


def _pad(x, classes):
    # Nothing is greater than infinity, so a padded class is in no counted pair.
    widths = [[0, 0]] * (len(x.shape) - 1) + [[0, classes - x.shape[-1]]]
    return ops.pad(x, widths, constant_values=float("inf"))
