"""What the miniatures of clips share: how they are written and split."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_c2kd.data.miniatures.sounds import RATE

_MISLEADING = 0.08  # how often a picture, or a sound, is that of another class


def shown_class(rng: np.random.Generator, true: int, num_classes: int) -> int:
    """Mostly the true class; sometimes any, as what sounds is not always seen."""
    return int(rng.integers(num_classes)) if rng.random() < _MISLEADING else true


def write_clip(
    root: Path, frames: str, pictures: Iterator[np.ndarray], first: int = 0
) -> None:
    """Writes a clip's frames, called after the second as `prepare` calls them."""
    folder = root / frames
    folder.mkdir(parents=True)
    for second, pixels in enumerate(pictures, start=first):
        with tf.device("CPU:0"):
            jpeg = tf.io.encode_jpeg(pixels, quality=90).numpy()
        (folder / f"{second:05d}.jpg").write_bytes(jpeg)


def write_sound(root: Path, wav: str, samples: np.ndarray) -> None:
    """Writes a wav file."""
    path = root / wav
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.device("CPU:0"):
        floats = samples.astype(np.float32)[:, None] / 32768.0
        path.write_bytes(tf.audio.encode_wav(floats, RATE).numpy())


def write_all(
    write_one: Callable[[int], None],
    count: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Calls `write_one(number)` for all clips, a few at a time."""
    # NumPy lets go of the interpreter lock in its larger operations.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for done, _ in enumerate(pool.map(write_one, range(count)), start=1):
            if progress is not None:
                progress(done, count)


def check_count(num_samples: int, num_classes: int, splits: int) -> None:
    """Refuses a miniature in which a split would lack a class."""
    least = num_classes * 2 * splits
    if num_samples < least:
        raise ValueError(
            f"Expected at least {least} samples, {2 * splits} of each class. "
            f"Received: num_samples={num_samples}"
        )


def split_of(number: int, num_classes: int, pattern: Sequence[str]) -> str:
    """The split of a sample: rounds of all classes take turns in the pattern."""
    return pattern[number // num_classes % len(pattern)]
