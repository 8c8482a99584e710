"""The two cameras: a colour image with its lighting, a depth image with its holes."""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy import ndimage

from keras_c2kd.data.rooms import surfaces
from keras_c2kd.data.rooms.raycast import Camera, Hits, Room, cast, in_shadow

_SHADOW_STEP = 2  # shadows are soft: every second row and column is enough


@dataclasses.dataclass(frozen=True)
class Photograph:
    """One pair of images.

    Attributes:
        rgb: uint8 `(height, width, 3)`.
        depth: uint16 `(height, width)`, millimetres as measured, 0 = no reading.
        depth_filled: the same with the holes filled from their neighbours.
        focal: focal length in pixels.
        surface: int `(height, width)`, positions in `Room.kinds`: what is seen.
    """

    rgb: np.ndarray
    depth: np.ndarray
    depth_filled: np.ndarray
    focal: float
    surface: np.ndarray


def photograph(
    room: Room, camera: Camera, rng: np.random.Generator, width: int, height: int
) -> Photograph:
    """Takes one RGB-depth pair."""
    hits = cast(room, camera, width, height)
    paint = [*room.shell, *(box.surface for box in room.boxes)]
    albedo = surfaces.colours(paint, hits.surface, hits.uv)
    light = _light(room, hits, rng, width, height)
    rgb = _expose(albedo * light, rng, width, height)
    shine = np.array([s.shine for s in paint], np.float32)[hits.surface]
    depth = _measure(hits, camera, albedo.mean(axis=0), shine, rng, width, height)
    focal = 0.5 * width / np.tan(0.5 * camera.field_of_view)
    surface = hits.surface.reshape(height, width)
    return Photograph(rgb, depth, fill_holes(depth), focal, surface)


def _light(
    room: Room, hits: Hits, rng: np.random.Generator, width: int, height: int
) -> np.ndarray:
    """float32 `(3, pixels)`: ambient light and one or two lamps with shadows."""
    ambient = rng.uniform(0.2, 0.6)
    light = np.full((3, hits.depth.size), ambient, np.float32)
    for _ in range(rng.integers(1, 3)):
        size = np.array(room.size)
        lamp = size * rng.uniform([0.15, 0.15, 0.75], [0.85, 0.85, 0.97])
        towards = lamp[:, None].astype(np.float32) - hits.points
        distance = np.sqrt((towards**2).sum(axis=0)) + 1e-3
        facing = np.abs((towards * hits.normals).sum(axis=0)) / distance
        strength = rng.uniform(0.4, 1.1) * facing / (0.5 + 0.12 * distance**2)
        tint = 1.0 + rng.uniform(-0.12, 0.12, (3, 1))
        light += tint * strength * _soft_shadow(room, hits, lamp, width, height)
    return light


def _soft_shadow(
    room: Room, hits: Hits, lamp: np.ndarray, width: int, height: int
) -> np.ndarray:
    points = hits.points + 0.01 * hits.normals
    points = points.reshape(3, height, width)[:, ::_SHADOW_STEP, ::_SHADOW_STEP]
    dark = in_shadow(room, points.reshape(3, -1), lamp).reshape(points.shape[1:])
    dark = ndimage.uniform_filter(dark.astype(np.float32), 3)
    dark = dark.repeat(_SHADOW_STEP, axis=0).repeat(_SHADOW_STEP, axis=1)
    return 1.0 - 0.8 * dark[:height, :width].ravel()


def _expose(
    radiance: np.ndarray, rng: np.random.Generator, width: int, height: int
) -> np.ndarray:
    """Exposure, white balance, tone curve and noise; some pictures come out dark."""
    gain = np.exp(rng.normal(-0.25, 0.4)) * rng.uniform(0.85, 1.15, (3, 1))
    image = (radiance * gain) ** rng.uniform(0.6, 0.9)
    image += rng.normal(0.0, rng.uniform(0.01, 0.06), image.shape)
    image = np.clip(255.0 * image, 0.0, 255.0).astype(np.uint8)
    return np.ascontiguousarray(image.T).reshape(height, width, 3)


def _measure(
    hits: Hits,
    camera: Camera,
    brightness: np.ndarray,
    shine: np.ndarray,
    rng: np.random.Generator,
    width: int,
    height: int,
) -> np.ndarray:
    """Depth with noise that grows with distance squared, and the sensor's holes."""
    depth = hits.depth + rng.standard_normal(hits.depth.size) * 0.004 * hits.depth**2
    towards = hits.points - np.asarray(camera.position, np.float32)[:, None]
    facing = np.abs((towards * hits.normals).sum(axis=0))
    facing /= np.sqrt((towards**2).sum(axis=0))
    chance = rng.random(depth.size)
    lost = facing < 0.12  # light grazes off
    lost |= chance < shine  # is mirrored away
    lost |= (brightness < 0.12) & (chance < 0.6)  # is swallowed
    lost |= hits.depth > rng.uniform(5.5, 8.0)  # does not come back
    lost |= hits.depth < 0.4
    image = np.where(lost, 0.0, depth).reshape(height, width)
    image[_blobs(rng, width, height) | _edge_shadow(hits, width, height)] = 0.0
    return np.clip(1000.0 * image, 0.0, 8000.0).astype(np.uint16)


def _blobs(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    coarse = rng.random((height // 10, width // 10)) < rng.uniform(0.0, 0.04)
    rough = coarse.repeat(10, axis=0).repeat(10, axis=1)
    padded = np.zeros((height, width), bool)
    padded[: rough.shape[0], : rough.shape[1]] = rough
    return padded & (rng.random((height, width)) < 0.8)


def _edge_shadow(hits: Hits, width: int, height: int) -> np.ndarray:
    """The projector stands beside the camera: no light falls left of a near edge."""
    depth = hits.depth.reshape(height, width)
    hidden = np.zeros_like(depth, dtype=bool)
    for step in (1, 2, 3):
        hidden[:, :-step] |= depth[:, :-step] - depth[:, step:] > 0.25 * step
    return hidden


def fill_holes(depth: np.ndarray) -> np.ndarray:
    """Gives each hole the reading of the nearest pixel that has one."""
    if not depth.any():
        return depth
    rows, columns = ndimage.distance_transform_edt(
        depth == 0, return_distances=False, return_indices=True
    )
    return depth[rows, columns]
