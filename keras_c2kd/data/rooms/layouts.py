"""What stands in a room of each class, and where; and where the camera stands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from keras_c2kd.data.rooms import furniture as f
from keras_c2kd.data.rooms.palette import draw
from keras_c2kd.data.rooms.raycast import Box, Camera, Room, cast

_TRIES = 10


class Builder:
    """An empty room that pieces are put into, without two in one place."""

    def __init__(self, rng: np.random.Generator, width: float, depth: float):
        self.rng = rng
        self.size = np.array([width, depth, rng.uniform(2.3, 3.0)])
        self.boxes: list[Box] = []
        self.footprints: list[np.ndarray] = []  # rows: low and high corner, x and y

    def against_wall(self, piece: f.Piece, wall: int | None = None) -> bool:
        """Puts a piece with its back to a wall (0..3, or any) if there is room."""
        for _ in range(_TRIES):
            side = int(self.rng.integers(4)) if wall is None else wall
            length, across = self.size[side % 2], self.size[1 - side % 2]
            low, high = _extent(piece)
            slack = length - (high[0] - low[0])
            if slack <= 0.0:
                continue
            along = -length / 2 - low[0] + slack * self.rng.random()
            if self._place(piece, np.array([along, 0.02 - across / 2]), side):
                return True
        return False

    def in_the_open(self, piece: f.Piece, quarter_turns: int | None = None) -> bool:
        """Puts a piece somewhere on the floor if there is room."""
        for _ in range(_TRIES):
            turns = self.rng.integers(4) if quarter_turns is None else quarter_turns
            reach = self.size[:2] if turns % 2 == 0 else self.size[1::-1]
            low, high = _extent(piece)
            slack = reach - (high - low)
            if (slack <= 0.0).any():
                continue
            spot = -reach / 2 - low + slack * self.rng.uniform(0.2, 0.8, 2)
            if self._place(piece, spot, int(turns)):
                return True
        return False

    def rows(self, make: Callable[[f.Random], f.Piece], wall: int) -> None:
        """Fills the floor with rows of pieces that all look at one wall."""
        length, across = self.size[wall % 2], self.size[1 - wall % 2]
        pitch_x, pitch_y = self.rng.uniform(1.35, 1.7), self.rng.uniform(1.25, 1.6)
        turned = (wall + 2) % 4  # the pieces' +y looks at the wall
        for y in np.arange(0.4, across - 2.0, pitch_y):
            for x in np.arange(0.9, length - 0.8, pitch_x):
                if self.rng.random() < 0.92:
                    jitter = self.rng.uniform(-0.06, 0.06, 2)
                    spot = np.array([x - length / 2, y - across / 2]) + jitter
                    self._place(make(self.rng), spot, turned)

    def _place(self, piece: f.Piece, spot: np.ndarray, quarter_turns: int) -> bool:
        """`spot` is in the room turned so that the piece's back looks along -y."""
        yaw = quarter_turns * np.pi / 2
        rotation = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
        centre = self.size[:2] / 2
        corners = np.array([rotation @ (c + spot) + centre for c in _extent(piece)])
        footprint = np.array([corners.min(axis=0), corners.max(axis=0)])
        blocks = any(p.z < 1.0 and p.depth > 0.1 for p in piece)
        if blocks and any(_overlap(footprint, other) for other in self.footprints):
            return False
        if blocks:
            self.footprints.append(footprint)
        surfaces = {
            role: draw(role, self.rng) for role in sorted({p.role for p in piece})
        }
        for p in piece:
            x, y = rotation @ (np.array([p.x, p.y]) + spot) + centre
            half = (p.width / 2, p.depth / 2, p.height / 2)
            middle = (float(x), float(y), p.z + half[2])
            self.boxes.append(Box(middle, half, yaw, surfaces[p.role], p.kind))
        return True


def _extent(piece: f.Piece) -> np.ndarray:
    """Low and high corner `(2, 2)` of a piece on the floor."""
    low = [(p.x - p.width / 2, p.y - p.depth / 2) for p in piece]
    high = [(p.x + p.width / 2, p.y + p.depth / 2) for p in piece]
    return np.array([np.min(low, axis=0), np.max(high, axis=0)])


def _overlap(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a[0] < b[1]).all() and (b[0] < a[1]).all())


def _bathroom(room: Builder) -> None:
    rng = room.rng
    room.against_wall(f.bathtub(rng) if rng.random() < 0.6 else f.shower(rng))
    room.against_wall(f.toilet(rng))
    room.against_wall(f.sink(rng))


def _bedroom(room: Builder) -> None:
    rng = room.rng
    for _ in range(rng.integers(1, 3)):
        room.against_wall(f.bed(rng))
    room.against_wall(f.nightstand(rng))
    for make in (f.wardrobe, f.drawers, f.desk):
        if rng.random() < 0.5:
            room.against_wall(make(rng))


def _classroom(room: Builder) -> None:
    front = int(room.rng.integers(4))
    room.against_wall(f.board(room.rng), front)
    if room.rng.random() < 0.6:
        room.against_wall(f.lectern(room.rng), front)
    room.rows(f.school_desk, front)


def _conference_room(room: Builder) -> None:
    rng = room.rng
    turns = 0 if room.size[0] > room.size[1] else 1
    longest = room.size[:2].max() - 1.5
    width, depth = rng.uniform(0.7, 1.0) * longest, rng.uniform(1.0, 1.4)
    room.in_the_open(f.table_with_chairs(rng, width, depth), turns)
    room.against_wall(f.board(rng))
    if rng.random() < 0.5:
        room.against_wall(f.television(rng))


def _corridor(room: Builder) -> None:
    rng = room.rng
    long_walls = (0, 2) if room.size[0] > room.size[1] else (1, 3)
    for _ in range(rng.integers(2, 7)):
        room.against_wall(f.door(rng), int(rng.choice(long_walls)))
    for _ in range(rng.integers(0, 3)):
        room.against_wall(f.bench(rng), int(rng.choice(long_walls)))


def _kitchen(room: Builder) -> None:
    rng = room.rng
    for _ in range(rng.integers(1, 4)):
        room.against_wall(f.counter(rng))
    for make in (f.fridge, f.stove):
        if rng.random() < 0.8:
            room.against_wall(make(rng))
    if rng.random() < 0.4:
        room.in_the_open(f.table_with_chairs(rng, rng.uniform(0.8, 1.4), 0.8))


def _living_room(room: Builder) -> None:
    rng = room.rng
    for _ in range(rng.integers(1, 4)):
        room.against_wall(f.sofa(rng))
    if rng.random() < 0.8:
        room.in_the_open(f.low_table(rng))
    if rng.random() < 0.6:
        room.against_wall(f.television(rng))
    if rng.random() < 0.3:
        room.in_the_open(f.table_with_chairs(rng, rng.uniform(0.8, 1.6), 0.8))


def _office(room: Builder) -> None:
    rng = room.rng
    for _ in range(rng.integers(1, 4)):
        room.against_wall(f.desk(rng))
    for make in (f.bookshelf, f.drawers):
        if rng.random() < 0.6:
            room.against_wall(make(rng))
    if rng.random() < 0.4:
        room.against_wall(f.board(rng))


# class: what stands in it, then smallest and largest size in metres (short, long side)
_LAYOUTS = {
    "bathroom": (_bathroom, (1.7, 2.2), (2.8, 4.2)),
    "bedroom": (_bedroom, (2.6, 3.0), (4.0, 5.0)),
    "classroom": (_classroom, (4.0, 5.5), (7.0, 9.0)),
    "conference_room": (_conference_room, (3.2, 4.2), (5.5, 7.5)),
    "corridor": (_corridor, (1.3, 4.0), (2.6, 12.0)),
    "kitchen": (_kitchen, (1.9, 2.6), (3.6, 5.0)),
    "living_room": (_living_room, (2.8, 3.6), (5.0, 6.5)),
    "office": (_office, (2.4, 3.0), (4.5, 6.0)),
}
ROOM_CLASSES = tuple(_LAYOUTS)
_ANYTHING = (
    *f.CLUTTER,
    f.chair,
    f.office_chair,
    f.desk,
    f.sofa,
    f.low_table,
    f.television,
    f.wardrobe,
    f.sink,
    f.fridge,
    f.counter,
    f.nightstand,
)
_FLOORS = ("wood", "carpet", "paint", "grey tiles", "checker tiles", "camouflage")
_WALLS = ("paint", "wallpaper", "grey tiles", "camouflage")
# class: how often each of the above; the other classes share the last row
_FLOOR_CHANCES = {
    "bathroom": (0.05, 0.05, 0.05, 0.45, 0.35, 0.05),
    "kitchen": (0.25, 0.00, 0.10, 0.30, 0.30, 0.05),
    "bedroom": (0.45, 0.35, 0.05, 0.05, 0.05, 0.05),
    "living_room": (0.45, 0.35, 0.05, 0.05, 0.05, 0.05),
    "other": (0.20, 0.30, 0.25, 0.10, 0.05, 0.10),
}
_WALL_CHANCES = {
    "bathroom": (0.25, 0.05, 0.65, 0.05),
    "kitchen": (0.50, 0.10, 0.30, 0.10),
    "other": (0.65, 0.20, 0.05, 0.10),
}


def furnish(class_name: str, rng: np.random.Generator) -> tuple[Room, Camera]:
    """Builds a room of a class and finds a place for the camera in it.

    Args:
        class_name: one of `ROOM_CLASSES`.
        rng: where every choice comes from.

    Returns:
        `(room, camera)`.
    """
    layout, smallest, largest = _LAYOUTS[class_name]
    sides = rng.permutation(rng.uniform(smallest, largest))
    builder = Builder(rng, *sides)
    layout(builder)
    _add_clutter(builder)
    floor = rng.choice(_FLOORS, p=_chances(_FLOOR_CHANCES, class_name))
    wall = rng.choice(_WALLS, p=_chances(_WALL_CHANCES, class_name))
    painted = draw(str(wall), rng)
    shell = (draw(str(floor), rng), draw("white", rng), *[painted] * 4)
    room = Room(tuple(builder.size), shell, tuple(builder.boxes))
    return room, _find_view(room, builder, rng)


def _chances(table: dict[str, tuple], class_name: str) -> tuple[float, ...]:
    return table.get(class_name, table["other"])


def _add_clutter(builder: Builder) -> None:
    """Things that say nothing about the class, or even something wrong."""
    rng = builder.rng
    for make in rng.choice(len(_ANYTHING), rng.integers(0, 3)):
        builder.against_wall(_ANYTHING[make](rng))
    for make in rng.choice(len(f.CLUTTER), rng.integers(0, 3)):
        builder.in_the_open(f.CLUTTER[make](rng))
    for make in (f.picture, f.window, f.door, f.picture, f.board):
        if rng.random() < (0.15 if make is f.board else 0.5):
            builder.against_wall(make(rng))


def _find_view(room: Room, builder: Builder, rng: np.random.Generator) -> Camera:
    """The best of a few views: things in sight, and no wardrobe before the lens."""
    views = [_draw_view(builder, rng) for _ in range(4)]
    return max(views, key=lambda camera: _interest(room, camera))


def _draw_view(builder: Builder, rng: np.random.Generator) -> Camera:
    for _ in range(_TRIES):
        inset = rng.uniform(0.05, 0.3, 2)  # towards a corner, as people stand
        x, y = builder.size[:2] * np.where(rng.random(2) < 0.5, inset, 1.0 - inset)
        spot = np.array([[x - 0.2, y - 0.2], [x + 0.2, y + 0.2]])
        if not any(_overlap(spot, other) for other in builder.footprints):
            break
    aim = builder.size[:2] * rng.uniform(0.3, 0.7, 2)
    yaw = -np.arctan2(aim[0] - x, aim[1] - y)
    height = rng.uniform(1.1, 1.8)
    pitch = np.radians(rng.uniform(-28.0, -4.0))
    return Camera((x, y, height), yaw, pitch, np.radians(rng.uniform(60.0, 80.0)))


def _interest(room: Room, camera: Camera) -> float:
    hits = cast(room, camera, 16, 12)
    furnished = (hits.surface >= len(room.shell)).mean()
    return min(furnished, 0.5) - 2.0 * (hits.depth < 0.8).mean()
