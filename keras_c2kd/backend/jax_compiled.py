"""The same programs in JAX, compiled also where they are called outside of `jit`."""

import jax

COMPILES = True
_OFFSET = 1 << 31


def compiled(function):
    """`function` of float arrays as one XLA program."""
    return jax.jit(function)


def sort(first, second):
    """Pairs of int32 in ascending order along the last axis, by the first of them.

    As one int64 each, which sorts many times faster than XLA's sort of two arrays.
    """
    with jax.enable_x64(True):
        first, second = first.astype("int64"), second.astype("int64")
        pairs = jax.lax.sort((first << 32) + (second + _OFFSET))
        first, second = pairs >> 32, (pairs & (2 * _OFFSET - 1)) - _OFFSET
        return first.astype("int32"), second.astype("int32")
