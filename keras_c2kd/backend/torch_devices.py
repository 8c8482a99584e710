"""The one device that Keras trains on with PyTorch."""

import contextlib

import torch

STRATEGY = None
GUARDS_REPLICAS = True


def device_count():
    return 1


def process():
    """`(index of this one, how many there are)`."""
    return 0, 1


def initialize():
    raise ValueError(
        "Expected one process with PyTorch, on which Keras does not train in several; "
        "set KERAS_BACKEND=jax for those. Received: KERAS_DISTRIBUTION_NUM_PROCESSES "
        "with the torch backend"
    )


def shares_batches(model):
    """Whether a batch has to be one that devices can split."""
    return False


def from_all_processes(values):
    """Integers `(N,)` of this process as `(processes, N)`."""
    return values[None]


@contextlib.contextmanager
def full_float32():
    """In it nothing is rounded to TF32, of 10 bits, as accelerators like to do."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.enabled
    torch.set_float32_matmul_precision("highest")
    # Its convolutions have switches of their own, other ones in each version.
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.enabled = before[1]
