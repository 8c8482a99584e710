"""A ray-caster for the inside of a room that is furnished with boxes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_c2kd.data.rooms.surfaces import Surface

NEAR = 0.05  # metres; what is nearer to the camera is not seen


@dataclasses.dataclass(frozen=True)
class Box:
    """A box: centre and half extents in metres, turned by `yaw` radians.

    `kind` is what a person would call it.
    """

    centre: tuple[float, float, float]
    half: tuple[float, float, float]
    yaw: float
    surface: Surface
    kind: str = ""


@dataclasses.dataclass(frozen=True)
class Room:
    """A room from the origin to `size`; x and y on the floor, z up, metres.

    `shell` holds the surfaces of floor, ceiling and the walls x=0, x=max, y=0, y=max.
    """

    size: tuple[float, float, float]
    shell: tuple[Surface, ...]
    boxes: tuple[Box, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each surface is, in the order of `Hits.surface`."""
        shell = ("floor", "ceiling", "wall", "wall", "wall", "wall")
        return (*shell, *(box.kind for box in self.boxes))


@dataclasses.dataclass(frozen=True)
class Camera:
    """Where the camera is and where it looks; angles in radians."""

    position: tuple[float, float, float]
    yaw: float
    pitch: float
    field_of_view: float

    def rays(self, width: int, height: int) -> np.ndarray:
        """float32 `(3, height, width)`; one metre of depth long, not one metre."""
        right, forward, up = self.axes()
        focal = 0.5 * width / np.tan(0.5 * self.field_of_view)
        across = (np.arange(width) - 0.5 * (width - 1)) / focal
        down = (np.arange(height) - 0.5 * (height - 1)) / focal
        rays = (
            forward[:, None, None]
            + right[:, None, None] * across
            - up[:, None, None] * down[:, None]
        )
        return np.where(np.abs(rays) < 1e-6, 1e-6, rays).astype(np.float32)

    def axes(self) -> np.ndarray:
        """Rows right, forward and up: the rotation from the room to the camera."""
        cy, sy = np.cos(self.yaw), np.sin(self.yaw)
        cp, sp = np.cos(self.pitch), np.sin(self.pitch)
        return np.array([[cy, sy, 0], [-sy * cp, cy * cp, sp], [sy * sp, -cy * sp, cp]])


@dataclasses.dataclass(frozen=True)
class Hits:
    """What each pixel sees; pixels are flattened.

    Attributes:
        depth: metres along the camera's axis.
        surface: position in `Room.shell` followed by the boxes.
        points: `(3, pixels)` in the room.
        normals: `(3, pixels)`, towards the camera.
        uv: `(2, pixels)`, metres on the surface.
    """

    depth: np.ndarray
    surface: np.ndarray
    points: np.ndarray
    normals: np.ndarray
    uv: np.ndarray


def cast(room: Room, camera: Camera, width: int, height: int) -> Hits:
    """Casts one ray per pixel."""
    rays = camera.rays(width, height)
    depth, surface = _cast_shell(room, camera, rays)
    windows = _screen_windows(room.boxes, camera, width, height)
    numbered = enumerate(zip(room.boxes, windows, strict=True), start=len(room.shell))
    for number, (box, (rows, columns)) in numbered:
        seen = depth[rows, columns]
        if seen.size:
            entry, leave = _slab(box, camera.position, rays[:, rows, columns])
            nearer = (entry < leave) & (entry > NEAR) & (entry < seen)
            seen[nearer] = entry[nearer]
            surface[rows, columns][nearer] = number
    depth, surface, rays = depth.ravel(), surface.ravel(), rays.reshape(3, -1)
    points = np.asarray(camera.position, np.float32)[:, None] + depth * rays
    normals, uv = _orientation(room, surface, points)
    normals *= -np.sign((normals * rays).sum(axis=0))
    return Hits(depth, surface, points, normals, uv)


def _cast_shell(room: Room, camera: Camera, rays: np.ndarray):
    """Depth and surface of the empty room; the camera is inside, so none is missed."""
    position = np.asarray(camera.position, np.float32)[:, None, None]
    size = np.asarray(room.size, np.float32)[:, None, None]
    far = rays > 0.0
    exits = (np.where(far, size, 0.0) - position) / rays
    axis = exits.argmin(axis=0)
    is_far = np.take_along_axis(far, axis[None], axis=0)[0]
    first = np.array([2, 4, 0])  # the surface at the low end of x, y and z
    return exits.min(axis=0), first[axis] + is_far


def _screen_windows(boxes: Sequence[Box], camera: Camera, width: int, height: int):
    """The rows and columns that can see each box: most see only a few pixels of it."""
    if not boxes:
        return []
    right, forward, up = np.tensordot(
        camera.axes(), _corners(boxes, camera.position), axes=1
    )
    focal = 0.5 * width / np.tan(0.5 * camera.field_of_view)
    nearest, farthest = forward.min(axis=0), forward.max(axis=0)
    forward = np.maximum(forward, NEAR)  # what is nearer is `around` or `behind`
    columns = _range(0.5 * width + focal * right / forward, width)
    rows = _range(0.5 * height - focal * up / forward, height)
    # A box around the camera has no outline; one behind it is not seen.
    around, behind = nearest < NEAR, farthest < NEAR
    for ranges, end in ((columns, width), (rows, height)):
        ranges[:, around] = [[0], [end]]
        ranges[:, behind] = 0
    return [
        (slice(*row), slice(*column))
        for row, column in zip(rows.T, columns.T, strict=True)
    ]


def _corners(boxes: Sequence[Box], origin: Sequence[float]) -> np.ndarray:
    """`(3, 8, boxes)`: the corners of each box, seen from `origin`."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8, 1)
    centres = np.array([box.centre for box in boxes]).T - np.array(origin)[:, None]
    halves = np.array([box.half for box in boxes]).T
    yaws = np.array([box.yaw for box in boxes])
    return _turn(halves[:, None] * signs, yaws) + centres[:, None]


def _range(values: np.ndarray, end: int) -> np.ndarray:
    """`(2, boxes)`: first pixel and the one after the last."""
    bounds = np.array([values.min(axis=0) - 1, values.max(axis=0) + 2])
    return np.clip(bounds, 0, end).astype(int)


def _slab(box: Box, origin: np.ndarray, rays: np.ndarray):
    """Where rays `(3, ...)` enter and leave the box, in lengths of the ray."""
    offset = np.asarray(origin, np.float32) - np.asarray(box.centre, np.float32)
    offset = _turn(offset, -box.yaw).astype(np.float32)
    inverse = 1.0 / _turn(rays, -box.yaw)
    half = np.asarray(box.half, np.float32)
    shape = (3,) + (1,) * (rays.ndim - 1)
    middle = -offset.reshape(shape) * inverse
    reach = np.abs(half.reshape(shape) * inverse)
    return (middle - reach).max(axis=0), (middle + reach).min(axis=0)


def _turn(vectors: np.ndarray, yaw: float | np.ndarray) -> np.ndarray:
    """Turns vectors `(3, ...)` around the vertical."""
    c, s = np.float32(np.cos(yaw)), np.float32(np.sin(yaw))
    x, y, z = vectors
    return np.stack([c * x - s * y, s * x + c * y, z])


def _orientation(room: Room, surface: np.ndarray, points: np.ndarray):
    """Normals, up to their sign, and coordinates on the surface of each pixel."""
    boxes = room.boxes
    shell_half = np.asarray(room.size) / 2.0
    centres = np.array([shell_half] * 6 + [b.centre for b in boxes], np.float32)
    halves = np.array([shell_half] * 6 + [b.half for b in boxes], np.float32)
    yaws = np.array([0.0] * 6 + [b.yaw for b in boxes], np.float32)[surface]
    cos, sin = np.cos(yaws), np.sin(yaws)
    x, y, z = points - centres.T[:, surface]
    local = np.stack([cos * x + sin * y, -sin * x + cos * y, z])
    axis = np.abs(np.abs(local) - halves.T[:, surface]).argmin(axis=0)
    normals = np.stack(
        [
            np.where(axis == 0, cos, np.where(axis == 1, -sin, 0.0)),
            np.where(axis == 0, sin, np.where(axis == 1, cos, 0.0)),
            (axis == 2).astype(np.float32),
        ]
    )
    u = np.where(axis == 0, local[1], local[0])
    v = np.where(axis == 2, local[1], local[2])
    return normals, np.stack([u, v])


def in_shadow(room: Room, points: np.ndarray, lamp: np.ndarray) -> np.ndarray:
    """Whether a box stands between each point `(3, pixels)` and the lamp."""
    rays = lamp[:, None] - points
    rays = np.where(np.abs(rays) < 1e-6, 1e-6, rays).astype(np.float32)
    shadow = np.zeros(points.shape[1], bool)
    for box in room.boxes:
        if min(box.half) < 0.02:
            continue  # pictures and the like
        entry, leave = _slab(box, lamp, -rays)
        shadow |= (entry < leave) & (leave > 0.0) & (entry < 0.985)
    return shadow
