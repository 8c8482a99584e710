"""A small AV-MNIST of drawn digits and sung ones, in the layout of the real one."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np

from keras_c2kd.data.miniatures.clips import write_all
from keras_c2kd.data.miniatures.common import write_miniature

_VERSION = 1  # raised whenever the same seed gives other files
_SIDE, _RATE = 28, 8000  # pixels, Hz
_SPEAKERS = {"ada": 205.0, "ben": 105.0, "eve": 180.0, "max": 130.0}  # pitch in Hz
_FEWEST_TAKES = 11  # of a digit by a speaker: 0-4 are test, 5-9 validation
# Pen strokes from corner to corner, x to the right and y downwards.
_STROKES = {
    0: ["-.5,-.9 .5,-.9 .6,.9 -.6,.9 -.5,-.9"],
    1: ["-.4,-.5 .1,-.9 .1,.9"],
    2: ["-.5,-.6 0,-.9 .5,-.5 -.6,.9 .6,.9"],
    3: ["-.5,-.8 .4,-.8 0,-.1 .5,.4 .1,.9 -.5,.7"],
    4: ["-.1,-.9 -.6,.2 .6,.2", ".3,-.3 .3,.9"],
    5: ["-.1,-.9 -.1,-.9 .5,-.9 -.4,-.9 -.4,-.1 .4,0 .4,.7 -.5,.9"],
    6: ["-.3,-.9 -.5,0 -.4,.8 .4,.8 .4,.1 -.5,.1"],
    7: ["-.5,-.8 .5,-.8 -.1,.9"],
    8: ["0,-.9 .4,-.5 -.4,.4 0,.9 .4,.4 -.4,-.5 0,-.9"],
    9: ["-.3,.9 .4,.2 .4,-.8 -.4,-.8 -.4,0 .4,0"],
}
# First and last resonances of the mouth in Hz, between which it glides.
_FORMANTS = {
    0: ((350, 2300), (480, 950)),
    1: ((320, 800), (650, 1300)),
    2: ((380, 1900), (320, 900)),
    3: ((430, 1500), (290, 2500)),
    4: ((520, 900), (450, 1250)),
    5: ((750, 1200), (380, 2200)),
    6: ((420, 2000), (300, 2900)),
    7: ((560, 1900), (500, 1400)),
    8: ((580, 2200), (300, 2600)),
    9: ((760, 1500), (370, 2000)),
}


def write_av_mnist(
    root: str | os.PathLike,
    num_samples: int = 1000,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature AV-MNIST, or finds the one that was written before.

    Digits of a few pen strokes, slanted, stretched and noisy, and vowels that glide as
    those of spoken digits do, by four voices. Nothing of MNIST is in it.

    Args:
        root: the folder that will hold `mnist.npz` and `recordings/`.
        num_samples: images, at least 60; one in six is for testing. There are about
            as many recordings, and at least 440.
        seed: the same seed gives the same files.
        progress: called as `progress(done, total)` after every file.

    Returns:
        `root`.

    Raises:
        ValueError: too few images, or `root` holds something that is no miniature.

    Example:

    ```python
    splits = read_av_mnist(write_av_mnist("miniature", num_samples=120))
    ```
    """
    if num_samples < 60:
        raise ValueError(
            "Expected at least 60 samples, so that each digit is in train and in test. "
            f"Received: num_samples={num_samples}"
        )
    takes = max(_FEWEST_TAKES, num_samples // (10 * len(_SPEAKERS)))
    names = [
        (digit, speaker, take)
        for take in range(takes)
        for speaker in _SPEAKERS
        for digit in range(10)
    ]

    def write(aside: Path) -> None:
        (aside / "recordings").mkdir()

        def write_one(number: int) -> None:
            digit, speaker, take = names[number]
            rng = np.random.default_rng([seed, 1, number])
            file = aside / "recordings" / f"{digit}_{speaker}_{take}.wav"
            _write_wav(file, say(rng, digit, _SPEAKERS[speaker]))

        write_all(write_one, len(names), progress)
        np.savez_compressed(aside / "mnist.npz", **_images(num_samples, seed))

    manifest = {"dataset": "av_mnist", "version": _VERSION, "seed": seed}
    return write_miniature(
        root, {**manifest, "num_samples": num_samples}, len(names) + 1, write
    )


def _images(num_samples: int, seed: int) -> dict[str, np.ndarray]:
    arrays, num_test = {}, num_samples // 6
    for part, count in (("train", num_samples - num_test), ("test", num_test)):
        rng = np.random.default_rng([seed, 0, count])
        labels = rng.permutation(np.arange(count) % 10)
        arrays[f"x_{part}"] = np.stack([draw(rng, digit) for digit in labels])
        arrays[f"y_{part}"] = labels.astype(np.uint8)
    return arrays


def draw(rng: np.random.Generator, digit: int) -> np.ndarray:
    """One image of a digit.

    Args:
        rng: slant, size, place, width of the pen, a stray stroke, and noise.
        digit: 0 to 9.

    Returns:
        uint8 `(28, 28)`, light on dark.
    """
    lines = [_corners(stroke) for stroke in _STROKES[digit]]
    lines = [line + rng.normal(0, 0.09, line.shape) for line in lines]
    angle, slant = rng.normal(0, 0.2), rng.normal(0, 0.25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ [[1.0, slant], [0.0, 1.0]] @ np.diag(rng.uniform(0.45, 0.85, 2))
    place = rng.uniform(-0.15, 0.15, 2)
    lines = [line @ matrix.T + place for line in lines]
    lines += [rng.uniform(-1, 1, (1, 2)) + [[0, 0], rng.normal(0, 0.35, 2)]]
    axis = (np.arange(_SIDE) + 0.5) / _SIDE * 2 - 1
    pixels = np.stack(np.meshgrid(axis, axis), axis=-1)
    distance = np.min([_distance(pixels, line) for line in lines], axis=0)
    ink = np.clip((rng.uniform(0.06, 0.15) - distance) * 12 + 0.5, 0, 1)
    image = ink * rng.uniform(120, 255) + np.abs(rng.normal(0, 25, ink.shape))
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def _corners(stroke: str) -> np.ndarray:
    return np.array([[float(x) for x in p.split(",")] for p in stroke.split()])


def _distance(pixels: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Of each pixel from the nearest of the line's segments."""
    nearest = np.full(pixels.shape[:2], np.inf)
    for start, end in zip(line[:-1], line[1:], strict=True):
        way = end - start
        share = ((pixels - start) @ way) / max(way @ way, 1e-9)
        foot = start + np.clip(share, 0, 1)[..., None] * way
        nearest = np.minimum(nearest, np.linalg.norm(pixels - foot, axis=-1))
    return nearest


def say(rng: np.random.Generator, digit: int, pitch: float) -> np.ndarray:
    """One recording of a digit.

    Args:
        rng: pitch, pace, loudness, how it is pronounced, and noise.
        digit: 0 to 9.
        pitch: of the speaker, Hz.

    Returns:
        int16 `(samples,)` at 8 kHz, 0.3 to 0.7 s.
    """
    seconds = rng.uniform(0.3, 0.7)
    time = np.arange(round(seconds * _RATE)) / _RATE
    melody = pitch * np.exp(rng.normal(0, 0.1) - rng.uniform(0, 0.4) * time / seconds)
    phase = 2 * np.pi * np.cumsum(melody) / _RATE
    first, last = np.array(_FORMANTS[digit]) * np.exp(rng.normal(0, 0.12, (2, 2)))
    glide = 1 / (1 + np.exp(-12 * (time / seconds - rng.uniform(0.4, 0.6))))
    mouth = first[:, None] + (last - first)[:, None] * glide
    samples = np.zeros_like(time)
    for overtone in range(1, int(0.45 * _RATE / melody.max())):
        away = (overtone * melody - mouth) / (0.12 * mouth + 60)
        loud = (np.exp(-(away**2)) * [[1.0], [0.6]]).sum(axis=0)
        samples += loud * np.sin(overtone * phase)
    samples *= np.minimum(1, np.minimum(time, seconds - time) / 0.04)
    samples *= rng.uniform(0.1, 0.8) / np.abs(samples).max()
    noise = rng.normal(0, 1, len(time)) * np.abs(samples).max() * rng.uniform(0, 0.3)
    return np.clip(np.round((samples + noise) * 2**15), -(2**15), 2**15 - 1).astype(
        "<i2"
    )


def _write_wav(file: Path, samples: np.ndarray) -> None:
    with wave.open(str(file), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(_RATE)
        writer.writeframes(samples.tobytes())
