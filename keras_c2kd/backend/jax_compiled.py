"""The same programs in JAX, compiled also where they are called outside of `jit`."""

import jax
import keras

COMPILES = True


def compiled(function):
    """`function` of float arrays as one XLA program."""
    program = jax.jit(function)

    def call(*arrays):
        symbolic = any(isinstance(array, keras.KerasTensor) for array in arrays)
        return (function if symbolic else program)(*arrays)

    return call


def sort(integers):
    """int32 in ascending order along the last axis."""
    return jax.lax.sort(integers)
