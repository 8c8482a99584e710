"""Islands of XLA in a TensorFlow program that is not compiled as a whole."""

import functools

import tensorflow as tf

COMPILES = True
_OFFSET = 1 << 31


def compiled(function):
    """`function` of float tensors as one XLA program, where XLA is for this device."""
    program = tf.function(function, jit_compile=True, autograph=False)

    def call(*arrays):
        if not _has_xla():
            return function(*arrays)
        # Traced once for all batch sizes; XLA compiles for each.
        specs = [
            tf.TensorSpec(
                (None, *a.shape[1:]) if a.shape.rank > 1 else a.shape, a.dtype
            )
            for a in arrays
        ]
        return program.get_concrete_function(*specs)(*arrays)

    return call


def sort(first, second):
    """Pairs of int32 in ascending order along the last axis, by the first of them.

    As one int64 each, which sorts many times faster than XLA's sort of two arrays.
    """
    first, second = tf.cast(first, tf.int64), tf.cast(second, tf.int64)
    pairs = tf.bitwise.left_shift(first, 32) + (second + _OFFSET)
    if tf.inside_function() and _has_xla():
        from tensorflow.compiler.tf2xla.python import xla

        pairs = xla.sort(pairs)  # in XLA, tf.sort carries indices along
    else:
        pairs = tf.sort(pairs)
    first = tf.bitwise.right_shift(pairs, 32)
    second = tf.bitwise.bitwise_and(pairs, 2 * _OFFSET - 1) - _OFFSET
    return tf.cast(first, tf.int32), tf.cast(second, tf.int32)


@functools.cache
def _has_xla():
    plugged_in = tf.config.list_physical_devices("GPU") and not (
        tf.test.is_built_with_gpu_support()
    )
    return tf.test.is_built_with_xla() and not plugged_in
