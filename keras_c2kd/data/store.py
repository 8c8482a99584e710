"""Where packed samples wait for training: in memory, in a cache, or in their files."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_c2kd.data.decoding import BrokenSample, decoded_samples, loader
from keras_c2kd.data.modality import Modality
from keras_c2kd.data.order import Order
from keras_c2kd.data.records import Records
from keras_c2kd.data.samples import Samples

IN_MEMORY = 1 << 30  # bytes of packed samples


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded:
    """Samples that were all read once, ready for `make_batches`.

    Attributes:
        samples: those that could be read, in order.
        modalities: name to `Modality`.
        skipped: `(path, reason)` of every sample that was left out.
        storage: `"memory"`, `"cache"` or `"files"`.
    """

    samples: Samples
    modalities: Mapping[str, Modality]
    skipped: list[tuple[str, str]]
    storage: str
    _elements: Callable[..., tf.data.Dataset]

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def labels(self) -> np.ndarray:
        """int32 `(N,)`."""
        return self.samples.labels

    @property
    def ids(self) -> tuple[str, ...]:
        return self.samples.ids

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.samples.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        return self.samples.notes

    def batches(
        self,
        batch_size: int,
        drop_remainder: bool,
        order: Order | None = None,
        start: int = 0,
        count: int | None = None,
    ) -> tf.data.Dataset:
        """Batches of packed samples, `{modality: ..., "position": int64}`.

        Args:
            batch_size: samples per batch.
            drop_remainder: leave out the ragged last batch.
            order: `None` keeps that of the samples.
            start: batches of `order.epoch` to leave out.
            count: of samples; where that is more than there are, they come again.
        """
        count = len(self) if count is None else count
        return self._elements(batch_size, drop_remainder, order, start, count)


def decode(
    samples: Samples,
    modalities: Mapping[str, Modality],
    cache_dir: str | Path | None = None,
    on_error: str = "raise",
    memory: int = IN_MEMORY,
    progress: Callable[[int, int], None] | None = None,
) -> Decoded:
    """Decodes every sample once, so that a broken file is found before training.

    What is decoded is kept in `cache_dir` if there is one, else in memory if it is
    small enough; else the files are decoded anew in every epoch.

    Args:
        samples: from a reader.
        modalities: name to `Modality`; these are read, and all of them of every sample.
        cache_dir: a folder for sharded TFRecords; an equal cache that is there is
            used, a stale or partial one is rebuilt.
        on_error: `"raise"` stops at the first broken sample, `"skip"` leaves
            it out and lists it in `skipped`.
        memory: bytes of packed samples to hold in memory at most.
        progress: called as `progress(done, total)` after every sample.

    Returns:
        `Decoded`, in the order of the samples.

    Raises:
        ValueError: for a missing or broken file, modalities of different sizes,
            or when no sample is left. The message names the file.

    Example:

    ```python
    train = read_sun_rgbd("data")["train"]
    decoded = decode(train, {"rgb": Rgb(64), "depth": Depth(64)})
    ```
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(
            f'`on_error` must be "raise" or "skip". Received: on_error={on_error!r}'
        )
    size = len(samples) * packed_bytes(modalities)
    in_graph = all(modality.in_graph for modality in modalities.values())
    if cache_dir is None and size > memory and not in_graph:
        raise ValueError(
            "Expected a cache: this dataset cannot be decoded anew in every epoch, and "
            f"does not fit in {memory / 2**30:.1f} GiB; give --cache_dir. "
            f"Received: cache_dir=None for {size / 2**30:.1f} GiB"
        )
    if cache_dir is not None:
        records = Records(Path(cache_dir), samples, modalities, on_error)
        if not records.is_whole():
            outcomes = _outcomes(samples, modalities, on_error, progress)
            records.write(outcomes)
        kept, skipped = records.kept, records.skipped
        elements, storage = records.batches, "cache"
    elif size <= memory:
        arrays, kept, skipped = _into_memory(samples, modalities, on_error, progress)
        elements, storage = from_memory(arrays, len(kept)), "memory"
    else:
        kept, skipped = [], []
        for position, outcome in _outcomes(samples, modalities, on_error, progress):
            _sort(position, outcome, kept, skipped)
        elements = _from_files(samples.take(kept), modalities)
        storage = "files"
    if not kept:
        first = f" The first of them: {skipped[0][1]}" if skipped else ""
        raise ValueError(
            f"Not one sample could be read.{first} "
            f"Received: {len(samples)} samples, {len(skipped)} of them broken"
        )
    return Decoded(samples.take(kept), modalities, skipped, storage, elements)


def packed_bytes(modalities: Mapping[str, Modality]) -> int:
    """Bytes of one packed sample."""
    specs = [modality.spec for modality in modalities.values()]
    return sum(math.prod(spec.shape) * spec.dtype.size for spec in specs)


def _outcomes(samples, modalities, on_error, progress):
    """`(position, packed sample or BrokenSample)`; the first broken one may raise."""
    for position, outcome in enumerate(decoded_samples(samples, modalities)):
        if isinstance(outcome, BrokenSample) and on_error == "raise":
            raise outcome
        yield position, outcome
        if progress is not None:
            progress(position + 1, len(samples))


def _sort(position, outcome, kept, skipped) -> bool:
    if isinstance(outcome, BrokenSample):
        skipped.append((outcome.path, str(outcome)))
        return False
    kept.append(position)
    return True


def _into_memory(samples, modalities, on_error, progress):
    arrays = {
        name: np.empty((len(samples), *m.spec.shape), m.spec.dtype.as_numpy_dtype)
        for name, m in modalities.items()
    }
    kept, skipped = [], []
    for position, outcome in _outcomes(samples, modalities, on_error, progress):
        if _sort(position, outcome, kept, skipped):
            for name, value in outcome.items():
                arrays[name][len(kept) - 1] = value
    return {name: array[: len(kept)] for name, array in arrays.items()}, kept, skipped


def from_memory(arrays, count):
    with tf.device("CPU:0"):
        tensors = {name: tf.constant(array) for name, array in arrays.items()}

    def gather(positions):
        packed = {name: tf.gather(array, positions) for name, array in tensors.items()}
        return {**packed, "position": positions}

    def elements(batch_size, drop_remainder, order, start, wanted):
        positions = _positions(count, order, start * batch_size, wanted)
        positions = positions.batch(batch_size, drop_remainder)
        # Whole batches are gathered: one large copy, no loop over samples.
        return positions.map(gather, num_parallel_calls=tf.data.AUTOTUNE)

    return elements


def _from_files(samples, modalities):
    load = loader(samples, modalities)

    def elements(batch_size, drop_remainder, order, start, wanted):
        positions = _positions(len(samples), order, start * batch_size, wanted)
        dataset = positions.map(
            lambda position: {**load(position), "position": position},
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        return dataset.batch(batch_size, drop_remainder)

    return elements


def _positions(count, order, start, wanted):
    if order is None:
        positions = tf.data.Dataset.range(start, count)
    else:
        positions = order.positions(count, start)
    return positions if wanted <= count else positions.repeat().take(wanted)
