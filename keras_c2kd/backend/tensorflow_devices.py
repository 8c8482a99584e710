"""The devices that TensorFlow can train on at once, all of this process."""

import contextlib

import tensorflow as tf

STRATEGY = "mirrored"
# All replicas take a step together, inside of no condition.
GUARDS_REPLICAS = False


def _devices():
    found = tf.config.list_logical_devices("GPU")
    return [d.name for d in found or tf.config.list_logical_devices("CPU")]


def device_count():
    return len(_devices())


def process():
    """`(index of this one, how many there are)`."""
    return 0, 1


def scope():
    """In it variables are on every device, and batches are split between them."""
    return tf.distribute.MirroredStrategy(_devices()).scope()


def initialize():
    # Two processes fail in Keras 3.15 even for one Dense layer (keras issue 20585).
    raise ValueError(
        "Expected one process with TensorFlow, on which Keras does not train in "
        "several; set KERAS_BACKEND=jax for those. Received: "
        "KERAS_DISTRIBUTION_NUM_PROCESSES with the TensorFlow backend"
    )


def shares_batches(model):
    """Whether a batch has to be one that devices can split."""
    strategy = getattr(model, "distribute_strategy", None)
    return strategy is not None and strategy.num_replicas_in_sync > 1


def from_all_processes(values):
    """Integers `(N,)` of this process as `(processes, N)`."""
    return values[None]


@contextlib.contextmanager
def full_float32():
    """In it nothing is rounded to TF32, of 10 bits, as accelerators like to do."""
    config = tf.config.experimental
    before = config.tensor_float_32_execution_enabled()
    config.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        config.enable_tensor_float_32_execution(before)
