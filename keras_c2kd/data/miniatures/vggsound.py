"""A small VGGSound of generated clips, in the layout of the real one."""

from __future__ import annotations

import csv
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
_FRAMES, _SIZE, _SECONDS = 3, 64, 3.0
_CLASSES = (
    "ambulance siren",
    "bowling impact",
    "cricket chirping",
    "electric shaver, electric razor shaving",
    "female speech, woman speaking",
    "machine gun shooting",
    "playing bass drum",
    "playing theremin",
    "thunder",
    "wind chime",
)
# By rounds of all classes: seven in ten for training.
_PATTERN = (*("train", "train", "test") * 3, "train")


def write_vggsound(
    root: str | os.PathLike,
    num_samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature VGGSound, or finds the one that was written before.

    Clips of ten labels: a drawn, moving shape (three frames, 64 x 64) and a generated
    sound (3 s at 16 kHz), with a list as in the real dataset.

    Args:
        root: the folder that will hold `vggsound.csv`, `train-videos/`,
            `train-audios/`, `test-videos/` and `test-audios/`.
        num_samples: clips, at least 40; three in ten are for testing.
        seed: the same seed gives the same files.
        progress: called as `progress(done, total)` after every clip.

    Returns:
        `root`.

    Raises:
        ValueError: too few clips, or `root` holds something that is no miniature.

    Example:

    ```python
    splits = read_vggsound(write_vggsound("miniature", num_samples=100))
    ```
    """
    check_count(num_samples, len(_CLASSES), splits=2)

    def write(aside: Path) -> None:
        def write_one(number: int) -> None:
            rng = np.random.default_rng([seed, number])
            seen, heard = (
                shown_class(rng, number % len(_CLASSES), len(_CLASSES))
                for _ in range(2)
            )
            name, split = _name(number), split_of(number, len(_CLASSES), _PATTERN)
            folder = f"{split}-videos/{split}-set-img/Image-01-FPS/{name}.mp4"
            write_clip(aside, folder, things(rng, seen, _FRAMES, _SIZE))
            wav = f"{split}-audios/{split}-set/{name}.wav"
            write_sound(aside, wav, sound(rng, heard, _SECONDS))

        write_all(write_one, num_samples, progress)
        with open(aside / "vggsound.csv", "w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            for number in range(num_samples):
                label = _CLASSES[number % len(_CLASSES)]
                split = split_of(number, len(_CLASSES), _PATTERN)
                video, start = _name(number).rsplit("_", 1)
                rows.writerow((video, int(start), label, split))

    manifest = {"dataset": "vggsound", "version": _VERSION, "seed": seed}
    return write_miniature(
        root,
        {**manifest, "num_samples": num_samples},
        num_samples * (_FRAMES + 1) + 1,
        write,
    )


def _name(number: int) -> str:
    """Eleven letters, as YouTube gives them, and the start in six digits."""
    return f"{'-_v'[number % 3]}VGG{number:07d}_{number * 37 % 500:06d}"
