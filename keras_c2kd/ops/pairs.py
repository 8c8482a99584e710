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
_BLOCK = 32  # classes compared with each other; with 64, XLA takes 40 times as long
_RUN = 16  # classes
# From this many positions a sample on (pixels), rows are counted a few thousand at a
# time: what is compared stays in the cache, and memory does not grow with the image.
_DENSE = 256
_ROWS = 4096
MOST_CLASSES = 1 << 16  # whose pairs int32 can count


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
    x, y = sort(_as_integers(x), _as_integers(y))
    places = ops.broadcast_to(ops.arange(x.shape[-1], dtype="int32"), ops.shape(x))
    sorted_y, by_y = sort(y, places)
    new_x, new_y = _differs(x), _differs(y)
    tied_x, tied_y, tied_both = (
        ops.sum(places - _latest(new), axis=-1)
        for new in (new_x, _differs(sorted_y), ops.logical_or(new_x, new_y))
    )
    pairs = x.shape[-1] * (x.shape[-1] - 1) // 2
    ordered = pairs - tied_x - tied_y + tied_both
    return ordered - 2 * _inversions(by_y), pairs - tied_x, pairs - tied_y


def _as_integers(x):
    """int32 in the order of float32 `x`."""
    bits = ops.view(ops.where(x == 0.0, 0.0, x), "int32")  # -0.0 equals 0.0
    return ops.where(bits < 0, ops.bitwise_xor(bits, 0x7FFFFFFF), bits)


def _differs(values):
    """Where `(R, C)` begins or is not as one place before."""
    new = ops.not_equal(values[:, 1:], values[:, :-1])
    return ops.pad(new, [[0, 0], [1, 0]], constant_values=True)


def _latest(mask):
    """For each place, the last one up to it where `mask`, which starts with one."""
    places = ops.arange(mask.shape[-1], dtype="int32")
    # Rows last, here and below: they are what is computed side by side.
    return ops.transpose(_running_maximum(ops.transpose(ops.where(mask, places, 0))))


def _running_maximum(values):
    """Along the first axis of `(C, R)`, within blocks of it, then over the blocks."""
    length = values.shape[0]
    values, blocks = _cut(values, _RUN, 0)
    highest = [values[:, 0]]
    for i in range(1, _RUN):
        highest.append(ops.maximum(highest[-1], values[:, i]))
    if blocks > 1:
        before = ops.pad(_running_maximum(highest[-1])[:-1], [[1, 0], [0, 0]])
        highest = [ops.maximum(block, before) for block in highest]
    return ops.reshape(ops.stack(highest, axis=1), (blocks * _RUN, -1))[:length]


def _cut(values, size, padding):
    """`(C, R)` as `(blocks, size, R)`, and how many blocks that are."""
    blocks = math.ceil(values.shape[0] / size)
    more = [[0, blocks * size - values.shape[0]], [0, 0]]
    values = ops.pad(values, more, constant_values=padding)
    return ops.reshape(values, (blocks, size, -1)), blocks


def _inversions(permutation):
    """Pairs `i < j` with `permutation[i] > permutation[j]`, of `(R, C)`.

    Places and values are cut into blocks. Pairs in one block of either are compared;
    those in different blocks of both are known from how many there are.
    """
    classes = permutation.shape[-1]
    size = 1 << round(math.log2(classes) / 2)  # so that there are about C counts
    blocks = math.ceil(classes / size)
    places = ops.broadcast_to(
        ops.arange(classes, dtype="int32"), ops.shape(permutation)
    )
    both = places // size * blocks + permutation // size
    counts = ops.reshape(
        _sums(ops.ones_like(places), both, blocks**2), (-1, blocks, blocks)
    )
    before = ops.cumsum(counts, axis=1) - counts  # in blocks of lower places
    lower = ops.cumsum(before, axis=2)
    apart = ops.sum(counts * (lower[..., -1:] - lower), axis=(1, 2))
    place_of = _sums(places, permutation, classes)
    by_place = _inverted_in_blocks(permutation, size)
    by_value = _inverted_in_blocks(place_of // size, size)
    return apart + by_place + by_value


def _sums(values, names, count):
    """What there is of `values` under each of `count` names, along the last axis."""
    rows = ops.shape(values)[0]
    names = names + count * ops.arange(rows, dtype="int32")[:, None]
    values, names = ops.reshape(values, (-1,)), ops.reshape(names, (-1,))
    sums = ops.segment_sum(values, names, num_segments=rows * count)
    return ops.reshape(sums, (rows, count))


def _inverted_in_blocks(values, size):
    """Pairs `i < j` of a block of places with `values[i] > values[j]`, by row."""
    part = min(size, _BLOCK)
    values, blocks = _cut(ops.transpose(values), size, values.shape[-1])
    values = ops.reshape(values, (blocks, size // part, part, -1))
    places = ops.arange(part, dtype="int32")[:, None]
    earlier = (places < ops.transpose(places))[..., None]

    def add_block(i, count):
        parts = ops.take(values, i, axis=0)
        for j in range(size // part):
            for k in range(j, size // part):
                inverted = parts[j, :, None] > parts[k, None]
                if j == k:
                    inverted = ops.logical_and(inverted, earlier)
                count = count + ops.sum(_ones(inverted), axis=(0, 1))
        return count

    return ops.fori_loop(0, blocks, add_block, ops.zeros_like(values[0, 0, 0]))
