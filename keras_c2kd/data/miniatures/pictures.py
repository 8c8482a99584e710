"""Drawn things and faces for the miniatures of clips."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

_EXPRESSIONS = {  # mouth's curve, how far it is open, tilt of brows, how open eyes are
    "NEU": (0.0, 0.15, 0.0, 0.6),
    "HAP": (0.8, 0.35, 0.1, 0.6),
    "SAD": (-0.6, 0.1, 0.5, 0.4),
    "FEA": (-0.2, 0.6, 0.6, 1.0),
    "DIS": (-0.5, 0.3, -0.3, 0.25),
    "ANG": (-0.4, 0.5, -0.7, 0.6),
}


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
