"""Samples seen through several modalities: first as files, then as arrays."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from keras_c2kd.data.depth import decode_sun_depth_millimetres, resize_depth
from keras_c2kd.data.image import decode_rgb, describe_image, resize_rgb

_ADVICE = "Replace the file, or leave such samples out with --on_error=skip."


@dataclasses.dataclass(frozen=True, eq=False)
class PairIndex:
    """Where the samples lie: one file per modality, and a label.

    Attributes:
        ids: one name per sample, unique within a dataset.
        paths: modality to files, one per sample, in the order of `ids`.
        labels: int32 `(samples,)`, positions in `class_names`.
        class_names: the names of the classes.
        notes: sentences about what the reader found and left out.

    Example:

    >>> index = PairIndex(("a", "b"), {"rgb": ("a.jpg", "b.jpg")},
    ...                   np.array([0, 1], "int32"), ("kitchen", "office"))
    >>> index.take([1]).ids
    ('b',)
    """

    ids: tuple[str, ...]
    paths: dict[str, tuple[str, ...]]
    labels: np.ndarray
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> PairIndex:
        """The samples at these positions, in this order."""
        return dataclasses.replace(
            self,
            ids=tuple(self.ids[i] for i in indices),
            paths={m: tuple(p[i] for i in indices) for m, p in self.paths.items()},
            labels=self.labels[np.asarray(indices, np.int64)],
        )

    def split(self, fraction: float, seed: int) -> tuple[PairIndex, PairIndex]:
        """Holds out a part of every class, for choosing without the test set.

        Args:
            fraction: how much of each class to hold out, between 0 and 1. Of a
                class with two samples or more at least one is held out and at
                least one stays; a single sample stays.
            seed: the same seed gives the same split.

        Returns:
            `(rest, held_out)`, both in the order of the index.
        """
        if not 0.0 < fraction < 1.0:
            raise ValueError(
                "`fraction` must lie between 0 and 1, both excluded. "
                f"Received: fraction={fraction}"
            )
        held_out = np.zeros(len(self), bool)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            wanted = max(1, round(fraction * len(members)))
            count = min(wanted, len(members) - 1)
            shuffled = np.random.default_rng([seed, label]).permutation(members)
            held_out[shuffled[:count]] = True
        return self.take(np.flatnonzero(~held_out)), self.take(np.flatnonzero(held_out))


@dataclasses.dataclass(frozen=True, eq=False)
class DecodedPairs:
    """The samples themselves, small enough to stay in memory.

    Attributes:
        arrays: modality to array: `"rgb"` uint8 `(N, S, S, 3)`; `"depth"` uint16
            millimetres `(N, S, S, 1)`, 0 where the sensor gave no reading.
        labels: int32 `(N,)`.
        ids: one name per sample.
        class_names: the names of the classes.
        skipped: `(path, reason)` of every sample that was left out.
    """

    arrays: dict[str, np.ndarray]
    labels: np.ndarray
    ids: tuple[str, ...]
    class_names: tuple[str, ...]
    skipped: list[tuple[str, str]]

    def __len__(self) -> int:
        return len(self.ids)


@dataclasses.dataclass(frozen=True)
class Decoder:
    """How one modality's files become arrays.

    Attributes:
        expected: what a file should be, in words.
        decode: bytes to `(height, width, channels)`.
        resize: that and a side in pixels to `(side, side, channels)`.
    """

    expected: str
    decode: Callable[[bytes], tf.Tensor]
    resize: Callable[[tf.Tensor, int], tf.Tensor]


SUN_RGBD_DECODERS = {
    "rgb": Decoder("a complete colour JPEG", decode_rgb, resize_rgb),
    "depth": Decoder(
        "a complete 16-bit greyscale PNG", decode_sun_depth_millimetres, resize_depth
    ),
}


class BrokenSample(ValueError):
    """A sample that cannot be read; `path` is the file to look at."""

    def __init__(self, path: str, message: str):
        super().__init__(message)
        self.path = path


def decode_pairs(
    index: PairIndex,
    decoders: Mapping[str, Decoder],
    image_size: int,
    on_error: str = "raise",
    progress: Callable[[int, int], None] | None = None,
) -> DecodedPairs:
    """Decodes every file once, so that a broken one is found before training.

    Images of training size are small; keeping them in memory makes every later
    epoch free of decoding.

    Args:
        index: the files.
        decoders: modality to `Decoder`, for example `SUN_RGBD_DECODERS`; these
            modalities are read, and all of them of every sample.
        image_size: side of the square that images are resized to, in pixels.
        on_error: `"raise"` stops at the first broken sample, `"skip"` leaves
            it out and lists it in `skipped`.
        progress: called as `progress(done, total)` after every sample.

    Returns:
        `DecodedPairs` in the order of the index.

    Raises:
        ValueError: for a missing or broken file, modalities of different sizes,
            or when no sample is left. The message names the file.

    Example:

    ```python
    index = read_sun_rgbd("data")["train"]
    pairs = decode_pairs(index, SUN_RGBD_DECODERS, image_size=64)
    ```
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(
            f'`on_error` must be "raise" or "skip". Received: on_error={on_error!r}'
        )
    samples = [
        {name: index.paths[name][i] for name in decoders} for i in range(len(index))
    ]
    kept, images, skipped = [], [], []
    # TensorFlow lets go of the interpreter lock while it decodes.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        outcomes = pool.map(lambda s: _try_decode(s, decoders, image_size), samples)
        for i, outcome in enumerate(outcomes):
            if not isinstance(outcome, BrokenSample):
                kept.append(i)
                images.append(outcome)
            elif on_error == "skip":
                skipped.append((outcome.path, str(outcome)))
            else:
                pool.shutdown(wait=False, cancel_futures=True)
                raise outcome
            if progress is not None:
                progress(i + 1, len(samples))
    if not kept:
        first = f" The first of them: {skipped[0][1]}" if skipped else ""
        raise ValueError(
            f"Not one sample could be read.{first} "
            f"Received: {len(samples)} samples, {len(skipped)} of them broken"
        )
    readable = index.take(kept)
    arrays = {name: np.stack([image[name] for image in images]) for name in decoders}
    return DecodedPairs(
        arrays, readable.labels, readable.ids, index.class_names, skipped
    )


def _try_decode(
    sample: Mapping[str, str], decoders: Mapping[str, Decoder], image_size: int
) -> dict[str, np.ndarray] | BrokenSample:
    """One sample's arrays, or why there are none: a thread returns both alike."""
    try:
        with tf.device("CPU:0"):
            images = {n: _decode_file(sample[n], d) for n, d in decoders.items()}
            _check_sizes(sample, images)
            return {
                name: decoder.resize(images[name], image_size).numpy()
                for name, decoder in decoders.items()
            }
    except BrokenSample as error:
        return error


def _decode_file(path: str, decoder: Decoder) -> tf.Tensor:
    try:
        with open(path, "rb") as file:
            contents = file.read()
    except OSError as error:
        raise BrokenSample(
            path,
            f"Expected {decoder.expected} at {path}, but the file cannot be opened. "
            f"{_ADVICE} Received: {error.strerror or type(error).__name__}",
        ) from error
    try:
        return decoder.decode(contents)
    except (tf.errors.OpError, ValueError) as error:
        raise BrokenSample(
            path,
            f"Expected {decoder.expected} at {path}. {_ADVICE} "
            f"Received: {describe_image(contents)}",
        ) from error


def _check_sizes(sample: Mapping[str, str], images: Mapping[str, tf.Tensor]) -> None:
    sizes = {name: tuple(image.shape[:2]) for name, image in images.items()}
    if len(set(sizes.values())) > 1:
        path = sample[next(reversed(sizes))]
        received = ", ".join(f"{n}={size} at {sample[n]}" for n, size in sizes.items())
        raise BrokenSample(
            path,
            "Expected the modalities of a sample to have one size (height, width), "
            f"since their pixels belong together. {_ADVICE} "
            f"Received: {received}",
        )
