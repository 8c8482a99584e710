"""Islands of XLA in a TensorFlow program that is not compiled as a whole."""

import functools

import tensorflow as tf

COMPILES = True


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


def sort(integers):
    """int32 in ascending order along the last axis."""
    if tf.inside_function() and _has_xla():
        from tensorflow.compiler.tf2xla.python import xla

        # In XLA, tf.sort carries indices along, which takes five times as long.
        return xla.sort(integers)
    return tf.sort(integers)


@functools.cache
def _has_xla():
    plugged_in = tf.config.list_physical_devices("GPU") and not (
        tf.test.is_built_with_gpu_support()
    )
    return tf.test.is_built_with_xla() and not plugged_in
