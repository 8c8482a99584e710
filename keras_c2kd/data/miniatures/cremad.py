"""A small CREMA-D of generated faces and voices, in the layout of the real one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_c2kd.data.cremad import EMOTIONS
from keras_c2kd.data.miniatures.clips import (
    check_count,
    shown_class,
    split_of,
    write_all,
    write_clip,
    write_sound,
)
from keras_c2kd.data.miniatures.common import write_miniature
from keras_c2kd.data.miniatures.pictures import face
from keras_c2kd.data.miniatures.sounds import voice

_VERSION = 1  # raised whenever the same seed gives other files
_FRAMES, _SIZE, _SECONDS = 2, 72, 2.0
# By rounds of all classes: seven in ten for training.
_PATTERN = (*("train", "train", "test") * 3, "train")


def write_cremad(
    root: str | os.PathLike,
    num_samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature CREMA-D, or finds the one that was written before.

    Drawn faces (two frames, 72 x 72) and hummed voices (2 s at 16 kHz) of the six
    emotions, in the folders and lists of the real dataset.

    Args:
        root: the folder that will hold `train.csv`, `test.csv`, `AudioWAV/` and
            `Image-01-FPS/`.
        num_samples: clips, at least 24; three in ten are for testing.
        seed: the same seed gives the same files.
        progress: called as `progress(done, total)` after every clip.

    Returns:
        `root`.

    Raises:
        ValueError: too few clips, or `root` holds something that is no miniature.

    Example:

    ```python
    splits = read_cremad(write_cremad("miniature", num_samples=60))
    ```
    """
    check_count(num_samples, len(EMOTIONS), splits=2)

    def write(aside: Path) -> None:
        stems = [_stem(number) for number in range(num_samples)]

        def write_one(number: int) -> None:
            rng = np.random.default_rng([seed, number])
            seen, heard = (
                EMOTIONS[shown_class(rng, number % len(EMOTIONS), len(EMOTIONS))]
                for _ in range(2)
            )
            pictures = face(rng, seen, _FRAMES, _SIZE)
            write_clip(aside, f"Image-01-FPS/{stems[number]}", pictures)
            samples = voice(rng, heard, _SECONDS)
            write_sound(aside, f"AudioWAV/{stems[number]}.wav", samples)

        write_all(write_one, num_samples, progress)
        rows = {name: [] for name in _PATTERN}
        for number, stem in enumerate(stems):
            emotion = EMOTIONS[number % len(EMOTIONS)]
            split = split_of(number, len(EMOTIONS), _PATTERN)
            rows[split].append(f"{stem},{emotion}\n")
        for name, lines in rows.items():
            (aside / f"{name}.csv").write_text("".join(lines), "utf-8")

    manifest = {"dataset": "cremad", "version": _VERSION, "seed": seed}
    return write_miniature(
        root,
        {**manifest, "num_samples": num_samples},
        num_samples * (_FRAMES + 1) + len(set(_PATTERN)),
        write,
    )


def _stem(number: int) -> str:
    """Actor, sentence, emotion and level, as in 1001_DFA_ANG_XX."""
    emotion, take = EMOTIONS[number % len(EMOTIONS)], number // len(EMOTIONS)
    sentence = "".join(chr(ord("A") + take // 26**k % 26) for k in (2, 1, 0))
    return f"{1001 + take % 91}_{sentence}_{emotion}_XX"
