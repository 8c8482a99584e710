"""Generated clips: things that are seen and heard, and faces that speak.

What is drawn and played depends on the class; everything else is chance: colours,
places, noise, and now and then a picture or a sound that belongs to another class.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf

RATE = 16_000  # of the generated sounds, Hz
_MISLEADING = 0.08  # how often a picture, or a sound, is that of another class
_SOUNDS = 10
_EXPRESSIONS = {  # mouth's curve, how far it is open, tilt of brows, how open eyes are
    "NEU": (0.0, 0.15, 0.0, 0.6),
    "HAP": (0.8, 0.35, 0.1, 0.6),
    "SAD": (-0.6, 0.1, 0.5, 0.4),
    "FEA": (-0.2, 0.6, 0.6, 1.0),
    "DIS": (-0.5, 0.3, -0.3, 0.25),
    "ANG": (-0.4, 0.5, -0.7, 0.6),
}
_VOICES = {  # pitch, its rise in a sentence, trembling, loudness, syllables a second
    "NEU": (1.0, -0.05, 0.01, 0.5, 3.5),
    "HAP": (1.35, 0.25, 0.02, 0.8, 4.5),
    "SAD": (0.85, -0.25, 0.03, 0.3, 2.5),
    "FEA": (1.5, 0.1, 0.08, 0.6, 5.5),
    "DIS": (0.75, -0.1, 0.05, 0.5, 2.0),
    "ANG": (1.15, -0.3, 0.02, 1.0, 4.0),
}


def shown_class(rng: np.random.Generator, true: int, num_classes: int) -> int:
    """Mostly the true class; sometimes any, as what sounds is not always seen."""
    return int(rng.integers(num_classes)) if rng.random() < _MISLEADING else true


def things(
    rng: np.random.Generator, kind: int, count: int, size: int
) -> Iterator[np.ndarray]:
    """Frames of a moving shape, told from the other classes by its outline.

    Args:
        rng: what is left to chance.
        kind: which of the ten shapes.
        count: how many frames.
        size: their side in pixels.

    Yields:
        uint8 `(size, size, 3)`.
    """
    grid = _grid(size)
    back, front = _two_colours(rng, kind)
    scene = _background(rng, grid, back)
    others = [_Thing(rng, int(rng.integers(10)), 0.14, 0.2) for _ in range(2)]
    thing = _Thing(rng, kind, 0.45, 0.75)
    clutter = rng.uniform(30, 225, 3)
    for second in range(count):
        image = scene
        for other in others:
            image = _paint(image, other.mask(grid, second), clutter)
        image = _paint(image, thing.mask(grid, second), front)
        yield _photograph(rng, image)


def face(
    rng: np.random.Generator, emotion: str, count: int, size: int
) -> Iterator[np.ndarray]:
    """Frames of a face with the expression of an emotion; see `things`."""
    grid = _grid(size)
    skin = np.array([224, 172, 140.0]) * rng.uniform(0.45, 1.1)
    back = _background(rng, grid, rng.uniform(20, 235, 3))
    plain = np.array(_EXPRESSIONS["NEU"])
    strength = rng.uniform(0.5, 1.2)
    curve, gape, tilt, eyes = (
        plain
        + strength * (np.array(_EXPRESSIONS[emotion]) - plain)
        + rng.normal(0, 0.08, 4)
    )
    scale, angle = rng.uniform(0.7, 0.95), rng.normal(0, 0.1)
    place = rng.uniform(-0.12, 0.12, 2)
    for second in range(count):
        u, v = _turned(grid, place + 0.02 * second, scale, angle)
        image = _paint(back, _soft(np.hypot(u / 0.8, v) - 1.0, size), skin)
        for side in (-1, 1):
            x = u - 0.32 * side
            eye = np.hypot(x / 0.17, (v + 0.2) / max(0.17 * eyes, 0.02)) - 1.0
            image = _paint(image, _soft(0.2 * eye, size), 0.15 * skin)
            brow = np.abs(v + 0.5 - tilt * side * x) - 0.04
            brow = np.maximum(brow, np.abs(x) - 0.22)
            image = _paint(image, _soft(brow, size), 0.3 * skin)
        opened = gape * (0.6 + 0.4 * (second % 2))
        mouth = np.abs(v - 0.45 - curve * (0.12 - u**2)) - 0.03 - 0.12 * opened
        mouth = np.maximum(mouth, np.abs(u) - 0.38)
        image = _paint(image, _soft(mouth, size), np.array([150, 40, 50.0]))
        yield _photograph(rng, image)


def sound(rng: np.random.Generator, kind: int, seconds: float) -> np.ndarray:
    """A noise of one of ten characters, such as a bell, a siren or a rumble.

    Args:
        rng: what is left to chance: pitch, loudness, noise, when it sets in.
        kind: which of the ten.
        seconds: how long it is.

    Returns:
        int16 `(samples,)` at 16 kHz.
    """
    time = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    pitch = 220.0 * 2.0 ** rng.uniform(0, 2)
    wave = _SOUND[kind % _SOUNDS](rng, time, pitch)
    wave = np.roll(wave, int(rng.integers(len(wave))))
    return _recorded(rng, wave)


def voice(rng: np.random.Generator, emotion: str, seconds: float) -> np.ndarray:
    """A humming voice in the melody of an emotion; see `sound`."""
    pitch, rise, tremble, loud, syllables = _VOICES[emotion]
    time = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    speaker = 110.0 * 2.0 ** rng.uniform(0, 1)
    pitch = speaker * pitch * rng.uniform(0.85, 1.15)
    melody = pitch * (1 + rise * (time / seconds - 0.5))
    melody *= 1 + tremble * np.sin(2 * np.pi * 6 * time, dtype=np.float32)
    pace = syllables * rng.uniform(0.85, 1.15)
    envelope = np.abs(np.sin(np.pi * pace * time)) ** 0.7
    wave = _harmonics(melody, 6, slope=1.6 - loud) * envelope
    return _recorded(rng, wave * loud)


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


class _Thing:
    """A shape with its place, size, angle and movement."""

    def __init__(self, rng, kind, smallest, largest):
        self.kind = kind
        self.scale = rng.uniform(smallest, largest)
        self.angle = rng.uniform(-0.35, 0.35)
        self.place = rng.uniform(-1, 1, 2) * (0.85 - self.scale)
        self.move, self.turn = rng.normal(0, 0.06, 2), rng.normal(0, 0.06)

    def mask(self, grid, second):
        place = np.clip(self.place + self.move * second, -0.8, 0.8)
        u, v = _turned(grid, place, self.scale, self.angle + self.turn * second)
        return _soft(_SHAPES[self.kind % len(_SHAPES)](u, v) * self.scale, len(u))


def _star(u, v):
    return np.hypot(u, v) - 0.62 - 0.36 * np.cos(5 * np.arctan2(u, -v))


def _triangle(u, v):
    return np.maximum(v - 0.6, np.abs(u) * 0.9 - (v + 0.9) * 0.55)


def _cross(u, v):
    u, v = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(u, v) - 0.28, np.maximum(u, v) - 0.95)


_SHAPES = (
    lambda u, v: np.hypot(u, v) - 0.9,
    lambda u, v: np.maximum(np.abs(u), np.abs(v)) - 0.8,
    _triangle,
    _cross,
    lambda u, v: np.abs(np.hypot(u, v) - 0.72) - 0.2,
    _star,
    lambda u, v: np.maximum(np.hypot(u, v) - 0.95, 0.8 - np.hypot(u - 0.5, v)),
    lambda u, v: np.maximum(np.abs(u) - 0.95, np.abs(v) - 0.9 * np.abs(u) - 0.05),
    lambda u, v: np.maximum(np.abs(np.abs(v) - 0.5) - 0.25, np.abs(u) - 0.9),
    lambda u, v: np.maximum(np.hypot(u, v) - 0.95, v),
)


def _harmonics(melody, count, slope):
    """A tone and its overtones; `melody` is the pitch at every sample, in Hz."""
    phase = 2 * np.pi * np.cumsum(melody, dtype=np.float64) / RATE
    phase = np.mod(phase, 2 * np.pi).astype(np.float32)
    return sum(np.sin(n * phase) / n**slope for n in range(1, count + 1))


def _tone(rng, time, pitch):
    return _harmonics(np.full_like(time, pitch), 3, 1.0)


def _rising(rng, time, pitch):
    return _harmonics(pitch * 2 ** ((time * 1.5) % 1.0), 3, 1.0)


def _falling(rng, time, pitch):
    return _harmonics(pitch * 2 ** (1 - (time * 1.5) % 1.0), 3, 1.0)


def _siren(rng, time, pitch):
    return _harmonics(pitch * 2 ** (0.4 * np.sin(2 * np.pi * 3 * time)), 3, 1.0)


def _pulses(rng, time, pitch):
    return _tone(rng, time, pitch) * ((time * 4) % 1.0 < 0.4)


def _rattle(rng, time, pitch):
    return rng.normal(size=len(time)) * ((time * 11) % 1.0 < 0.3)


def _bell(rng, time, pitch):
    ring = sum(
        np.sin(2 * np.pi * pitch * ratio * time) / (1 + n)
        for n, ratio in enumerate((1.0, 2.76, 5.4))
    )
    return ring * np.exp(-6 * ((time * 1.2) % 1.0))


def _buzz(rng, time, pitch):
    return _harmonics(np.full_like(time, pitch / 4), 16, 0.3)


def _rumble(rng, time, pitch):
    noise = rng.normal(size=len(time))
    width = round(RATE / pitch * 2)
    total = np.cumsum(np.concatenate([np.zeros(width), noise]))
    return total[width:] - total[:-width]


def _warble(rng, time, pitch):
    return _harmonics(pitch * np.where((time * 5) % 1.0 < 0.5, 1.0, 1.5), 2, 1.0)


_SOUND = (
    _tone,
    _rising,
    _falling,
    _siren,
    _pulses,
    _rattle,
    _bell,
    _buzz,
    _rumble,
    _warble,
)


def _recorded(rng, wave):
    """Through a bad microphone: noise, and any loudness."""
    level = np.sqrt(np.mean(np.square(wave)) + 1e-12)
    noise = 10 ** rng.uniform(-1.2, 0.3) * level
    wave = wave + noise * rng.normal(size=len(wave))
    wave *= rng.uniform(0.2, 0.9) / np.abs(wave).max()
    return (32767 * wave).astype(np.int16)


def _grid(size):
    axis = (np.arange(size, dtype=np.float32) + 0.5) * (2 / size) - 1
    return np.meshgrid(axis, axis)


def _turned(grid, place, scale, angle):
    x, y = grid[0] - np.float32(place[0]), grid[1] - np.float32(place[1])
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    return cos * x + sin * y, cos * y - sin * x


def _soft(distance, size):
    """A mask with smooth edges; 1 inside."""
    return np.clip(0.5 - distance * (size / 2), 0, 1)


def _two_colours(rng, kind):
    """Back and front; every kind has a colour that it often comes near to."""
    usual = 127 + 110 * np.cos(2 * np.pi * (kind / 10 + np.array([0, 1 / 3, 2 / 3])))
    front = 0.65 * usual + 0.35 * rng.uniform(10, 245, 3)
    while True:
        back = 0.4 * rng.uniform(20, 235, 3) + 0.6 * rng.uniform(20, 235)
        if np.abs(front - back).mean() > 35:
            return back, front


def _background(rng, grid, colour):
    """A colour with a slope of light and stripes in it."""
    direction, waves = rng.normal(0, 1, 2), rng.uniform(2, 9, 2)
    light = 14 * (direction[0] * grid[0] + direction[1] * grid[1])
    stripes = rng.uniform(0, 18) * np.sin(waves[0] * grid[0] + waves[1] * grid[1])
    return (light + stripes)[..., None].astype(np.float32) + colour


def _paint(image, mask, colour):
    return image + mask[..., None] * (colour - image)


def _photograph(rng, image):
    """Some exposure and noise, as bytes."""
    image = image * rng.uniform(0.6, 1.1)
    image = image + rng.normal(0, rng.uniform(2, 14), image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)
