"""Training on several devices: the same method, each batch split between them."""

import contextlib
import os
from collections.abc import Iterator
from typing import NamedTuple

import keras

from keras_c2kd.backend import devices

STRATEGIES = ("auto", "none", "data_parallel", "mirrored")


class Replicas(NamedTuple):
    """Who trains.

    Attributes:
        strategy: `"none"`, `"data_parallel"` or `"mirrored"`.
        count: copies of the model, on all devices of all processes; a batch is split
            between them.
        process: index of this process; only number 0 should print and ship.
        processes: how many there are.
    """

    strategy: str = "none"
    count: int = 1
    process: int = 0
    processes: int = 1


def initialize() -> None:
    """Joins the processes of a run on several machines, where there are such.

    That is `keras.distribution.initialize()`, if the variables it reads are in the
    environment: `KERAS_DISTRIBUTION_JOB_ADDRESSES` (of process 0, `"10.0.0.1:1234"`),
    `KERAS_DISTRIBUTION_NUM_PROCESSES` and `KERAS_DISTRIBUTION_PROCESS_ID`. It comes
    before anything is computed.

    Raises:
        ValueError: on TensorFlow and torch, with which Keras does not train so.

    Example:

    >>> from keras_c2kd import distribution
    >>> distribution.initialize()  # nothing: there is one process
    """
    if "KERAS_DISTRIBUTION_NUM_PROCESSES" in os.environ:
        devices.initialize()


@contextlib.contextmanager
def distribute(strategy: str = "auto") -> Iterator[Replicas]:
    """Everything made and trained in it is on all devices.

    The engines are Keras's and TensorFlow's own. C2KD on N devices with batch B takes
    the steps of one device with batch B: every mean is one over the whole batch. Under
    `"mirrored"` this needs `synchronize_batch_norm`, or else BatchNorm sees B / N
    samples; and losses between samples (DIST, RKD) compare those of one device.

    Args:
        strategy: `"data_parallel"` is `keras.distribution.DataParallel` (JAX, in one
            process or several), `"mirrored"` `tf.distribute.MirroredStrategy`
            (TensorFlow), `"none"` one device; `"auto"` takes what the backend has
            where there is more than one device.

    Returns:
        A context manager for `Replicas`. Models are made, compiled and fitted in it.

    Raises:
        ValueError: a strategy of another backend, or none for several processes.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.distribution import distribute
    >>> with distribute() as replicas:
    ...     model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    ...     model.compile("sgd", "mse")
    ...     history = model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    >>> replicas
    Replicas(strategy='none', count=1, process=0, processes=1)
    """
    if strategy not in STRATEGIES:
        raise ValueError(
            f"Expected `strategy` to be one of {', '.join(STRATEGIES)}. "
            f"Received: strategy={strategy!r}"
        )
    ours, (process, processes) = devices.STRATEGY, devices.process()
    if strategy == "auto":
        strategy = ours if ours and devices.device_count() > 1 else "none"
    if strategy not in ("none", ours):
        raise ValueError(
            f"Expected auto, none{f' or {ours}' if ours else ''} with the "
            f"{keras.config.backend()} backend. Received: strategy={strategy!r}"
        )
    if strategy == "none":
        if processes > 1:
            raise ValueError(
                "Expected the strategy data_parallel for several processes, which "
                f"would train apart. Received: strategy='none', {processes} processes"
            )
        yield Replicas()
        return
    with devices.scope():
        yield Replicas(strategy, devices.device_count(), process, processes)


def synchronize_batch_norm(model: keras.Model, on: bool = True) -> None:
    """BatchNorm with the statistics of the whole batch, not of a device's part.

    For `"mirrored"` only: JAX has them by itself. Without it every device has moving
    statistics of its own, noisy ones of few samples, and those of the first are saved.
    A mask (samples that lack a modality) leaves the proxies' BatchNorm as it was.

    Args:
        model: Built, not compiled yet. All its BatchNorm layers are set, nested ones
            too.
        on: `False` before saving: other backends do not load such layers.
            `StudentCheckpoint` does that by itself.

    Example:

    >>> import keras
    >>> from keras_c2kd.distribution import distribute, synchronize_batch_norm
    >>> norm = keras.layers.BatchNormalization()
    >>> model = keras.Sequential([keras.Input((4,)), norm])
    >>> with distribute() as replicas:
    ...     synchronize_batch_norm(model, on=replicas.strategy == "mirrored")
    >>> norm.synchronized
    False
    """
    for layer in _batch_norms(model):
        layer.synchronized = on


@contextlib.contextmanager
def loadable_anywhere(model: keras.Model) -> Iterator[None]:
    """While a model is saved: without what only TensorFlow has."""
    synchronized = [layer for layer in _batch_norms(model) if layer.synchronized]
    for layer in synchronized:
        layer.synchronized = False
    try:
        yield
    finally:
        for layer in synchronized:
            layer.synchronized = True


def _batch_norms(model):
    norm = keras.layers.BatchNormalization
    return [layer for layer in model._flatten_layers() if isinstance(layer, norm)]
