"""The same programs in JAX, compiled also where they are called outside of `jit`."""

import jax

COMPILES = True


def compiled(function):
    """`function` of float arrays as one XLA program."""
    return jax.jit(function)


def sort(integers):
    """int32 in ascending order along the last axis."""
    return jax.lax.sort(integers)
