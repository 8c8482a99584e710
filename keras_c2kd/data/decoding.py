"""From files to packed samples: every one is decoded once before training starts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_c2kd.data.modality import Modality
from keras_c2kd.data.samples import Samples

_ADVICE = "Replace the file, or leave such samples out with --on_error=skip."


class BrokenSample(ValueError):
    """A sample that cannot be read; `path` is the file to look at."""

    def __init__(self, path: str, message: str):
        super().__init__(message)
        self.path = path


def loader(
    samples: Samples, modalities: Mapping[str, Modality]
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """A function from a position to one packed sample, for `tf.data.Dataset.map`.

    Args:
        samples: where they lie.
        modalities: name to `Modality`; these are read.

    Returns:
        `load(position) -> {modality: packed, ...}`. An absent modality is zeros.
    """
    with tf.device("CPU:0"):
        sources = {
            name: tf.nest.map_structure(tf.constant, samples.sources[name])
            for name in modalities
        }
        present = {name: tf.constant(mask) for name, mask in samples.present.items()}

    def load(position):
        packed, sizes = {}, []
        for name, modality in modalities.items():
            source = tf.nest.map_structure(
                lambda array: tf.gather(array, position), sources[name]
            )
            there = tf.gather(present[name], position) if name in present else True
            packed[name], size = _load_one(modality, source, there)
            sizes += [size] if modality.spatial else []
        with tf.control_dependencies(_same_sizes(sizes)):
            return {name: tf.identity(value) for name, value in packed.items()}

    return load


def _load_one(modality, source, there):
    """Packed, and the size as decoded; zeros where the sample lacks the modality."""
    spec = modality.spec

    def read():
        decoded = modality.decode(source)
        packed = tf.ensure_shape(modality.pack(decoded), spec.shape)
        spatial = modality.spatial
        size = modality.size_of(decoded) if spatial else tf.zeros(2, tf.int32)
        return packed, size

    if there is True:
        return read()
    return tf.cond(
        there, read, lambda: (tf.zeros(spec.shape, spec.dtype), tf.zeros(2, tf.int32))
    )


def _same_sizes(sizes: list[tf.Tensor]) -> list[tf.Operation]:
    largest = tf.reduce_max(sizes, axis=0) if sizes else None
    return [
        tf.debugging.Assert(tf.reduce_all((size == largest) | (size == 0)), [size])
        for size in sizes
    ]


def decoded_samples(
    samples: Samples, modalities: Mapping[str, Modality]
) -> Iterator[dict[str, np.ndarray] | BrokenSample]:
    """Every sample in order, packed; or why there is none.

    Args:
        samples: where they lie.
        modalities: name to `Modality`.

    Yields:
        `{modality: packed array}`, or a `BrokenSample` that names the file.
    """
    if not all(modality.in_graph for modality in modalities.values()):
        load = loader_in_python(samples, modalities)
        yield from (_try(load, samples, modalities, i) for i in range(len(samples)))
        return
    dataset = tf.data.Dataset.range(len(samples)).map(
        loader(samples, modalities), num_parallel_calls=tf.data.AUTOTUNE
    )
    iterator = iter(dataset.prefetch(tf.data.AUTOTUNE))
    # An iterator goes on after an element that failed, with the next one.
    for position in range(len(samples)):
        yield _try(lambda _: next(iterator), samples, modalities, position)


def loader_in_python(samples, modalities):
    """The same for modalities whose `decode` is Python."""

    def load(position):
        return {
            name: modality.pack(modality.decode(samples.source(name, position)))
            for name, modality in modalities.items()
        }

    return load


def _try(load, samples, modalities, position):
    try:
        return {name: np.asarray(value) for name, value in load(position).items()}
    except (tf.errors.OpError, ValueError, OSError) as error:
        return _diagnose(samples, modalities, position, error)


def _diagnose(samples, modalities, position, error) -> BrokenSample:
    """The sample again, one modality at a time, until one cannot be read."""
    sizes = {}
    for name, modality in modalities.items():
        if name in samples.present and not samples.present[name][position]:
            continue
        source = samples.source(name, position)
        path = modality.where(source)
        try:
            decoded = modality.decode(source)
            modality.pack(decoded)
        except (tf.errors.OpError, ValueError, OSError) as cause:
            return BrokenSample(path, _sentence(modality, source, cause))
        if modality.spatial:
            size = np.asarray(modality.size_of(decoded)).tolist()
            sizes[name] = (tuple(size), path)
    if len({size for size, _ in sizes.values()}) > 1:
        received = ", ".join(
            f"{n}={size} at {path}" for n, (size, path) in sizes.items()
        )
        return BrokenSample(
            path,
            "Expected the modalities of a sample to have one size (height, width), "
            f"since their pixels belong together. {_ADVICE} Received: {received}",
        )
    return BrokenSample(
        samples.ids[position],
        f"Expected sample {samples.ids[position]!r} to be readable. {_ADVICE} "
        f"Received: {_first_line(error)}",
    )


def _sentence(modality: Modality, source: Any, cause: Exception) -> str:
    path = modality.where(source)
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        return (
            f"Expected {modality.expected} at {path}, but the file cannot be opened. "
            f"{_ADVICE} Received: {error.strerror or type(error).__name__}"
        )
    except ValueError:  # a null byte in the path
        return f"Expected {modality.expected}. {_ADVICE} Received: path={path!r}"
    if isinstance(cause, ValueError) and "Received: " in str(cause):
        return f"Expected {modality.expected} at {path}. {_ADVICE} {cause}"
    return (
        f"Expected {modality.expected} at {path}. {_ADVICE} "
        f"Received: {modality.describe(source)}"
    )


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).splitlines()[0]}"
