"""Draws surfaces: which colours and patterns a thing of some material may have."""

from __future__ import annotations

import numpy as np

from keras_c2kd.data.rooms.surfaces import Colour, Surface

# role: (pattern, scale in metres, darkest, lightest, colourfulness, shine)
_ROLES = {
    "metal": ("plain", 1.0, 0.35, 0.65, 0.03, 0.25),
    "white": ("plain", 1.0, 0.75, 0.95, 0.04, 0.03),
    "dark": ("plain", 1.0, 0.04, 0.16, 0.03, 0.10),
    "screen": ("plain", 1.0, 0.02, 0.50, 0.15, 0.30),
    "mirror": ("plain", 1.0, 0.45, 0.75, 0.05, 0.80),
    "window": ("tiles", 0.6, 0.80, 1.00, 0.05, 0.50),
    "books": ("books", 0.05, 0.25, 0.55, 0.25, 0.0),
    "picture": ("patches", 0.15, 0.20, 0.80, 0.30, 0.0),
    "whiteboard": ("writing", 0.09, 0.85, 0.95, 0.01, 0.20),
    "blackboard": ("writing", 0.09, 0.08, 0.22, 0.05, 0.0),
    "plant": ("patches", 0.08, 0.15, 0.40, 0.0, 0.0),
    "enamel": ("plain", 1.0, 0.70, 0.97, 0.03, 0.10),
    "grey tiles": ("tiles", 0.25, 0.55, 0.90, 0.08, 0.02),
    "checker tiles": ("checker", 0.30, 0.50, 0.90, 0.10, 0.02),
    "carpet": ("patches", 0.12, 0.20, 0.55, 0.12, 0.0),
    "paint": ("plain", 1.0, 0.45, 0.95, 0.12, 0.0),
    "wallpaper": ("stripes", 0.25, 0.40, 0.85, 0.15, 0.0),
    "camouflage": ("patches", 0.25, 0.15, 0.85, 0.20, 0.0),
}
_FABRICS = ("plain", "stripes", "checker", "patches")
_GREEN = np.array([0.5, 1.4, 0.5])


def draw(role: str, rng: np.random.Generator) -> Surface:
    """Draws a surface for a role such as `"wood"`, `"fabric"` or `"grey tiles"`."""
    if role == "wood":
        return _wood(rng)
    if role == "fabric":
        base = _colour(rng, 0.1, 0.8, 0.3)
        pattern = str(rng.choice(_FABRICS, p=(0.55, 0.15, 0.15, 0.15)))
        scale = float(rng.uniform(0.1, 0.3))
        return Surface(base, _colour(rng, 0.1, 0.9, 0.3), pattern, scale)
    pattern, scale, dark, light, spread, shine = _ROLES[role]
    base = _colour(rng, dark, light, spread)
    if role == "plant":
        base = tuple(np.clip(base * _GREEN, 0.0, 1.0))
    if pattern in ("books", "patches"):
        second = _colour(rng, dark / 2.0, light, spread)
    elif role == "blackboard":
        second = (0.8, 0.8, 0.8)
    else:
        second = tuple(0.6 * np.array(base))
    return Surface(base, second, pattern, scale * rng.uniform(0.8, 1.3), shine)


def _wood(rng: np.random.Generator) -> Surface:
    tone = rng.uniform(0.3, 0.85) * np.array([1.0, rng.uniform(0.7, 0.85), 0.5])
    return Surface(tuple(tone), tuple(0.6 * tone), "planks", rng.uniform(0.1, 0.25))


def _colour(
    rng: np.random.Generator, dark: float, light: float, spread: float
) -> Colour:
    grey = rng.uniform(dark, light)
    return tuple(np.clip(grey + spread * rng.uniform(-1.0, 1.0, 3), 0.02, 1.0))
