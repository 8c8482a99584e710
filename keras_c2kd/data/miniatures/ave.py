"""A small AVE of generated events, in the layout of the real one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_c2kd.data.miniatures.clips import (
    check_count,
    shown_class,
    split_of,
    write_all,
    write_clip,
    write_sound,
)
from keras_c2kd.data.miniatures.common import write_miniature
from keras_c2kd.data.miniatures.pictures import things
from keras_c2kd.data.miniatures.sounds import sound

_VERSION = 1  # raised whenever the same seed gives other files
_SIZE = 72
_CLASSES = (
    "Baby cry, infant cry",
    "Bark",
    "Chainsaw",
    "Church bell",
    "Clock",
    "Flute",
    "Frying (food)",
    "Helicopter",
)
# By rounds of all classes: six in ten for training.
_PATTERN = ("train", "train", "val", "train", "test") * 2


def write_ave(
    root: str | os.PathLike,
    num_samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature AVE, or finds the one that was written before.

    Events of eight of the categories, one to three seconds long: drawn shapes (one
    frame a second, 72 x 72) and generated sounds (16 kHz), with lists as in the real
    dataset.

    Args:
        root: the folder that will hold `trainSet.txt`, `valSet.txt`, `testSet.txt`,
            `Image-01-FPS-SE/` and `AudioWAV-SE/`.
        num_samples: events, at least 48; two in ten are for validation, two for
            testing.
        seed: the same seed gives the same files.
        progress: called as `progress(done, total)` after every event.

    Returns:
        `root`.

    Raises:
        ValueError: too few events, or `root` holds something that is no miniature.

    Example:

    ```python
    splits = read_ave(write_ave("miniature", num_samples=80))
    ```
    """
    check_count(num_samples, len(_CLASSES), splits=3)

    def write(aside: Path) -> None:
        def write_one(number: int) -> None:
            rng = np.random.default_rng([seed, number])
            seen, heard = (
                shown_class(rng, number % len(_CLASSES), len(_CLASSES))
                for _ in range(2)
            )
            video, (start, end) = _video(number), _span(number)
            pictures = things(rng, seen, end - start, _SIZE)
            write_clip(aside, f"Image-01-FPS-SE/{video}", pictures, start)
            samples = sound(rng, heard, end - start)
            write_sound(aside, f"AudioWAV-SE/{video}.wav", samples)

        write_all(write_one, num_samples, progress)
        rows = {name: [] for name in _PATTERN}
        for number in range(num_samples):
            category = _CLASSES[number % len(_CLASSES)]
            start, end = _span(number)
            split = split_of(number, len(_CLASSES), _PATTERN)
            line = f"{category}&{_video(number)}&good&{start}&{end}\n"
            rows[split].append(line)
        for name, lines in rows.items():
            (aside / f"{name}Set.txt").write_text("".join(lines), "utf-8")

    frames = sum(end - start for start, end in map(_span, range(num_samples)))
    manifest = {"dataset": "ave", "version": _VERSION, "seed": seed}
    return write_miniature(
        root,
        {**manifest, "num_samples": num_samples},
        frames + num_samples + len(set(_PATTERN)),
        write,
    )


def _video(number: int) -> str:
    """Eleven letters, as YouTube gives them; some begin with a dash."""
    return f"{'-_m'[number % 3]}AVE{number:07d}"


def _span(number: int) -> tuple[int, int]:
    start = number * 7 % 8
    return start, start + 1 + number * 5 % 3
