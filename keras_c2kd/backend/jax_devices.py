"""The devices that JAX can train on at once, in one process or in several."""

import jax
import keras

STRATEGY = "data_parallel"
GUARDS_REPLICAS = True


class _DataParallel(keras.distribution.DataParallel):
    def distribute_tf_dataset(self, dataset):
        """Keras's own, which forgets how many batches there are, and warns of it."""
        import tensorflow as tf

        part, count = super().distribute_tf_dataset(dataset), dataset.cardinality()
        if count < 0:
            return part
        # It also ends what would wait for ever: a last batch not whole, so that one
        # process has fewer batches than another.
        return part.apply(tf.data.experimental.assert_cardinality(count))


def device_count():
    return jax.device_count()


def process():
    """`(index of this one, how many there are)`."""
    return jax.process_index(), jax.process_count()


def scope():
    """In it variables are on every device, and batches are split between them."""
    return _DataParallel().scope()


def initialize():
    """From KERAS_DISTRIBUTION_JOB_ADDRESSES, _NUM_PROCESSES and _PROCESS_ID."""
    keras.distribution.initialize()


def shares_batches(model):
    """Whether a batch has to be one that devices can split."""
    return keras.distribution.distribution() is not None


def from_all_processes(values):
    """Integers `(N,)` of this process as `(processes, N)`."""
    if jax.process_count() == 1:
        return values[None]
    from jax.experimental import multihost_utils

    return multihost_utils.process_allgather(values)


def full_float32():
    """In it nothing is rounded to TF32, of 10 bits, as accelerators like to do."""
    return jax.default_matmul_precision("highest")
