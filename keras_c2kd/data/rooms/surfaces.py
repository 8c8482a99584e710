"""What things are covered with: two colours and a pattern in metres."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

Colour = tuple[float, float, float]


@dataclasses.dataclass(frozen=True)
class Surface:
    """Colours in 0..1; `scale` in metres; `shine` in 0..1 blinds the depth camera."""

    colour: Colour
    second: Colour
    pattern: str = "plain"
    scale: float = 0.3
    shine: float = 0.0


def _plain(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return np.zeros_like(u)


def _checker(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (np.floor(u) + np.floor(v)) % 2.0


def _tiles(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return ((u % 1.0 < 0.1) | (v % 1.0 < 0.1)).astype(np.float32)


def _stripes(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return (u % 1.0 < 0.4).astype(np.float32)


def _planks(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    board = np.floor(v)
    tone = _random(board, np.floor(0.2 * u + 7.0 * _random(board, board)))
    return np.where(v % 1.0 < 0.08, 1.0, 0.6 * tone)


def _books(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return _random(np.floor(u), np.floor(0.2 * v))


def _patches(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    coarse = _random(np.floor(u), np.floor(v))
    fine = _random(np.floor(2.7 * u), np.floor(2.7 * v))
    return 0.6 * coarse + 0.4 * fine


def _writing(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    ink = _random(np.floor(3.0 * u), np.floor(v)) < 0.5
    return (ink & (v % 1.0 < 0.35)).astype(np.float32)


def _random(i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """A number in 0..1 for each grid cell, always the same for the same cell."""
    mixed = i.astype(np.int64) * 374761393 + j.astype(np.int64) * 668265263
    mixed = (mixed ^ (mixed >> 13)) * 1274126177
    return ((mixed >> 16) & 0xFFFF).astype(np.float32) / 65535.0


# Each takes coordinates in units of the pattern's scale and gives the share of
# the second colour, 0..1.
PATTERNS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "plain": _plain,
    "checker": _checker,
    "tiles": _tiles,
    "stripes": _stripes,
    "planks": _planks,
    "books": _books,
    "patches": _patches,
    "writing": _writing,
}


def colours(surfaces: Sequence[Surface], which: np.ndarray, uv: np.ndarray):
    """Looks up the colour at each pixel.

    Args:
        surfaces: the surfaces of the room.
        which: int `(pixels,)`, positions in `surfaces`.
        uv: float32 `(2, pixels)`, metres on the surface.

    Returns:
        float32 `(3, pixels)` in 0..1.
    """
    names = list(PATTERNS)
    pattern = np.array([names.index(s.pattern) for s in surfaces])[which]
    scale = np.array([s.scale for s in surfaces], np.float32)[which]
    u, v = uv / scale
    # Patterns of one kind differ from surface to surface by where they begin.
    u = u + 3.7 * which.astype(np.float32)
    share = np.zeros(which.shape, np.float32)
    for number in np.unique(pattern):
        pixels = np.flatnonzero(pattern == number)
        share[pixels] = PATTERNS[names[number]](u[pixels], v[pixels])
    first = np.array([s.colour for s in surfaces], np.float32).T[:, which]
    second = np.array([s.second for s in surfaces], np.float32).T[:, which]
    return first + share * (second - first)
