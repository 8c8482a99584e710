"""Pairs of classes that two rankings order alike, counted exactly, in two ways."""

import math
from typing import Any

from keras import ops

from keras_c2kd.backend import COMPILES, sort

# Comparing each class with each grows like C^2, sorting like C log C, with more to
# begin with (benchmarks/kendall.py). Uncompiled, every comparison costs a call.
_SORTED = 1500 if COMPILES else 64
_UNROLLED = 64  # classes
_COMPARED = 16  # classes at a time; 8 are not fused by XLA, and take 15 times as long
_BLOCK = 32  # classes
# From this many positions a sample on (pixels), rows are counted a few thousand at a
# time: what is compared stays in the cache, and memory does not grow with the image.
_DENSE = 256
_ROWS = 4096
_LOW, _HALF = 0xFFFF, 16
MOST_CLASSES = 1 << _HALF


def count_pairs(x: Any, y: Any) -> tuple[Any, Any, Any]:
    """How many pairs of classes are ordered alike, and how many at all.

    Args:
        x: float32 `(..., C)`; where there is NaN, a row's counts mean nothing.
        y: float32 `(..., C)`.

    Returns:
        Concordant minus discordant pairs, pairs not tied in `x`, and not tied in `y`:
        int32 `(...)`.
    """
    positions, classes = tuple(x.shape)[1:-1], x.shape[-1]
    count = _count_by_sorting if classes > _SORTED else _count_in_turn
    if None in positions or math.prod(positions) < _DENSE:
        rows = [ops.reshape(z, (-1, classes)) for z in (x, y)]
        return tuple(ops.reshape(n, ops.shape(x)[:-1]) for n in count(*rows))
    return _in_blocks(count, x, y, positions)


def _in_blocks(count, x, y, positions):
    """`count` for `(B, ..., C)` with many positions, some rows at a time."""
    total, classes = math.prod(positions), x.shape[-1]
    rows = min(max(_ROWS * _UNROLLED // classes, 1), _ROWS, total)
    blocks = math.ceil(total / rows)

    def split(z):
        z = ops.reshape(z, (-1, total, classes))
        z = ops.pad(z, [[0, 0], [0, blocks * rows - total], [0, 0]])
        return ops.reshape(z, (-1, rows, classes))

    counts = ops.map(lambda block: ops.stack(count(*block)), (split(x), split(y)))

    def joined(n):
        n = ops.reshape(n, (-1, blocks * rows))[:, :total]
        return ops.reshape(n, (-1, *positions))

    return tuple(joined(counts[:, i]) for i in range(3))


def _count_in_turn(x, y):
    """Every class of `(R, C)` against every class, a few of them at a time."""
    classes = x.shape[-1]
    x, y = ops.transpose(x), ops.transpose(y)  # long vectors also for few classes
    if classes <= _UNROLLED:
        return tuple(ops.sum(count, axis=0) for count in _compare(x, y, x, y))
    blocks = math.ceil(classes / _COMPARED)
    # Nothing is greater than infinity, so what is padded is in no counted pair.
    widths = [[0, blocks * _COMPARED - classes], [0, 0]]
    others = [ops.pad(z, widths, constant_values=float("inf")) for z in (x, y)]
    others = [ops.reshape(z, (blocks, _COMPARED, -1)) for z in others]

    def add_block(i, counts):
        return _add(counts, _compare(x, y, *(ops.take(z, i, axis=0) for z in others)))

    zeros = ops.zeros_like(x, dtype="int32")
    counts = ops.fori_loop(0, blocks, add_block, (zeros,) * 3)
    return tuple(ops.sum(count, axis=0) for count in counts)


def _compare(x, y, x_others, y_others):
    """Each class of the first two against all of the others, which are few.

    A pair is counted from its larger side, so the two orders of it never add up.
    """
    counts = (0, 0, 0)
    for i in range(x_others.shape[0]):
        x_above, y_above = x > x_others[i], y > y_others[i]
        order_y = _ones(y_above) - _ones(y < y_others[i])
        new = ops.where(x_above, order_y, 0), _ones(x_above), _ones(y_above)
        counts = _add(counts, new)
    return counts


def _add(counts, new):
    return tuple(count + more for count, more in zip(counts, new, strict=True))


def _ones(mask):
    return ops.cast(mask, "int32")


def _count_by_sorting(x, y):
    """Knight's method on `(R, C)`: in the order of x, then y, what y has inverted."""
    x, y = _as_integers(x), _as_integers(y)
    by_y = argsort(y)
    y = ops.take_along_axis(y, by_y, axis=-1)
    x = ops.take_along_axis(x, by_y, axis=-1)
    by_x = argsort(x)  # stable: by x, then by y
    x = ops.take_along_axis(x, by_x, axis=-1)
    y_starts, x_starts = _run_starts(y), _run_starts(x)
    y_ranks = ops.take_along_axis(y_starts, by_x, axis=-1)  # equal where tied
    both_starts = ops.maximum(x_starts, _run_starts(y_ranks))
    places = ops.arange(x.shape[-1], dtype="int32")
    tied_x, tied_y, tied_both = (
        ops.sum(places - starts, axis=-1)
        for starts in (x_starts, y_starts, both_starts)
    )
    pairs = x.shape[-1] * (x.shape[-1] - 1) // 2
    ordered = pairs - tied_x - tied_y + tied_both
    return ordered - 2 * _inversions(y_ranks), pairs - tied_x, pairs - tied_y


def _as_integers(x):
    """int32 in the order of float32 `x`."""
    bits = ops.view(ops.where(x == 0.0, 0.0, x), "int32")  # -0.0 equals 0.0
    return ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)


def argsort(integers: Any) -> Any:
    """Stable `argsort` of int32 `(R, C)`, with sorts that carry nothing along.

    One half of the bits after the other, each half above the number of its place:
    XLA sorts plain integers several times faster than pairs.

    Args:
        integers: int32, at most 65,536 in a row.

    Returns:
        int32 `(R, C)`.
    """
    places = ops.arange(integers.shape[-1], dtype="int32")
    low = ops.bitwise_and(integers, _LOW) - (1 << (_HALF - 1))
    high = ops.right_shift(integers, _HALF)
    by_low = _place_in(sort(_packed(low, places)))
    high = ops.take_along_axis(high, by_low, axis=-1)
    by_high = _place_in(sort(_packed(high, places)))
    return ops.take_along_axis(by_low, by_high, axis=-1)


def _packed(half, places):
    return ops.bitwise_or(ops.left_shift(half, _HALF), places)


def _place_in(packed):
    return ops.bitwise_and(packed, _LOW)


def _run_starts(ascending):
    """For each place, where the run of equal values that it is in begins."""
    places = ops.broadcast_to(
        ops.arange(ascending.shape[-1], dtype="int32"), ops.shape(ascending)
    )
    new = ops.not_equal(ascending[:, 1:], ascending[:, :-1])
    starts = ops.where(new, places[:, 1:], 0)
    return _running_maximum(ops.pad(starts, [[0, 0], [1, 0]]))


def _running_maximum(values):
    """Along the last axis, within blocks of it, then from block to block."""
    length = values.shape[-1]
    if length > _BLOCK:
        blocks = math.ceil(length / _BLOCK)
        more = [[0, 0], [0, blocks * _BLOCK - length]]
        values = ops.reshape(ops.pad(values, more), (-1, blocks, _BLOCK))
    reach = 1
    while reach < min(length, _BLOCK):
        before = ops.pad(values[..., :-reach], _leading(values, reach))
        values = ops.maximum(values, before)
        reach *= 2
    if length <= _BLOCK:
        return values
    ends = _running_maximum(values[..., -1])[:, :-1]
    values = ops.maximum(values, ops.pad(ends, [[0, 0], [1, 0]])[..., None])
    return ops.reshape(values, (-1, blocks * _BLOCK))[:, :length]


def _leading(values, count):
    return [[0, 0]] * (len(values.shape) - 1) + [[count, 0]]


def _inversions(ranks):
    """Pairs `i < j` with `ranks[i] > ranks[j]`, of `(R, C)` with ranks in 0..C-1.

    Places and values are cut into blocks. Pairs in one block of places are compared,
    as are pairs in one block of values; those in different blocks of both are known
    from how many there are.
    """
    classes = ranks.shape[-1]
    blocks = math.ceil(classes / _BLOCK)
    places = ops.arange(blocks * _BLOCK, dtype="int32")
    more = ops.broadcast_to(
        places[classes:], (ops.shape(ranks)[0], blocks * _BLOCK - classes)
    )
    ranks = ops.concatenate([ranks, more], axis=-1)  # in order: nothing inverted
    by_rank = _place_in(sort(_packed(ranks - (1 << (_HALF - 1)), places)))
    # Rows last: they are what is computed side by side.
    ranks, block_of = (
        ops.reshape(ops.transpose(z), (blocks, _BLOCK, -1))
        for z in (ranks, by_rank // _BLOCK)
    )
    names = ops.arange(blocks, dtype="int32")[:, None, None]
    earlier = places[:_BLOCK, None, None] < places[None, :_BLOCK, None]

    def inverted(values):
        return ops.sum(_ones(values[:, None] > values[None]) * _ones(earlier), (0, 1))

    def add_block(i, state):
        count, above = state  # above: of lower rank, in blocks of places after this
        rank, where = ops.take(ranks, i, axis=0), ops.take(block_of, i, axis=0)
        here = ops.sum(_ones(where == names), axis=1)
        new = inverted(rank) + inverted(where) + ops.sum(here * above, axis=0)
        return count + new, above + ops.sum(_ones(where > names), axis=1)

    none = ops.zeros_like(ranks[0, 0])
    start = none, ops.broadcast_to(none, (blocks, *ops.shape(none)))
    return ops.fori_loop(0, blocks, add_block, start)[0]
