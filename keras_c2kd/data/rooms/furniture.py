"""Pieces of furniture, each a handful of boxes.

A piece is a list of `Part`s in metres: x to the right, y away from its back, which
is at y=0, z up from the floor.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Part(NamedTuple):
    """A box: centre in x and y, lower face in z, width, depth, height, material.

    `kind` is what a person would call it, in the words of NYU Depth V2's 40 classes.
    """

    x: float
    y: float
    z: float
    width: float
    depth: float
    height: float
    role: str
    kind: str = ""


Piece = list[Part]
Random = np.random.Generator


def named(kind: str):
    """Says what a function's parts are, those that have no name of their own."""

    def decorate(make):
        @functools.wraps(make)
        def named_make(*args, **kwargs):
            return [
                p if p.kind else p._replace(kind=kind) for p in make(*args, **kwargs)
            ]

        return named_make

    return decorate


def shifted(piece: Piece, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Piece:
    """The same piece elsewhere."""
    return [p._replace(x=p.x + x, y=p.y + y, z=p.z + z) for p in piece]


def mirrored(piece: Piece, depth: float) -> Piece:
    """The piece seen from the other side of a table that is `depth` deep."""
    return [p._replace(y=depth - p.y) for p in piece]


def table(width: float, depth: float, height: float, role: str = "wood") -> Piece:
    """A top on four legs."""
    x, near, far = width / 2 - 0.06, 0.06, depth - 0.06
    corners = [(-x, near), (x, near), (-x, far), (x, far)]
    legs = [Part(a, b, 0.0, 0.06, 0.06, height - 0.05, role) for a, b in corners]
    return [Part(0, depth / 2, height - 0.05, width, depth, 0.05, role), *legs]


@named("chair")
def chair(rng: Random, role: str = "wood") -> Piece:
    """A seat with a back; whoever sits on it looks along +y."""
    height = rng.uniform(0.42, 0.48)
    back = Part(0, 0.03, height, 0.42, 0.04, rng.uniform(0.38, 0.5), role)
    return [*table(0.42, 0.44, height, role), back]


@named("chair")
def office_chair(rng: Random) -> Piece:
    """A seat on a post, with arms."""
    return [
        Part(0, 0.26, 0.44, 0.5, 0.5, 0.09, "dark"),
        Part(0, 0.03, 0.55, 0.46, 0.07, rng.uniform(0.45, 0.65), "dark"),
        Part(0, 0.26, 0.05, 0.07, 0.07, 0.4, "metal"),
        Part(0, 0.26, 0.0, 0.55, 0.1, 0.06, "metal"),
        Part(0, 0.26, 0.0, 0.1, 0.55, 0.06, "metal"),
        Part(-0.26, 0.26, 0.62, 0.05, 0.3, 0.05, "dark"),
        Part(0.26, 0.26, 0.62, 0.05, 0.3, 0.05, "dark"),
    ]


@named("bed")
def bed(rng: Random) -> Piece:
    """A single or double bed with its head at the back."""
    width, length = rng.choice([0.95, 1.4, 1.7]), rng.uniform(1.9, 2.1)
    height = rng.uniform(0.25, 0.4)
    pillows = [-width / 4, width / 4] if width > 1.0 else [0.0]
    head = Part(0, 0.03, 0, width + 0.08, 0.06, rng.uniform(0.7, 1.1), "wood")
    return [
        head,
        Part(0, 0.06 + length / 2, 0.08, width, length, height - 0.08, "wood"),
        Part(0, 0.06 + length / 2, height, width, length - 0.04, 0.2, "white"),
        Part(0, 0.7 + length / 2, height, width + 0.04, length - 0.7, 0.22, "fabric"),
        *(
            Part(x, 0.32, height + 0.2, 0.55, 0.36, 0.12, "white", "pillow")
            for x in pillows
        ),
    ]


@named("night stand")
def nightstand(rng: Random) -> Piece:
    """A small cabinet with a lamp."""
    return [
        Part(0, 0.2, 0, 0.42, 0.4, 0.5, "wood"),
        Part(0, 0.2, 0.5, 0.05, 0.05, 0.25, "metal", "lamp"),
        Part(0, 0.2, 0.75, 0.24, 0.24, 0.2, "fabric", "lamp"),
    ]


@named("cabinet")
def wardrobe(rng: Random) -> Piece:
    """Two tall doors."""
    width, height = rng.uniform(0.9, 1.8), rng.uniform(1.8, 2.2)
    return [
        Part(0, 0.29, 0, width, 0.58, height, "wood"),
        Part(-0.06, 0.59, height / 2, 0.02, 0.03, 0.2, "metal"),
        Part(0.06, 0.59, height / 2, 0.02, 0.03, 0.2, "metal"),
    ]


@named("bookshelf")
def bookshelf(rng: Random) -> Piece:
    """Boards with rows of books between them."""
    width, levels = rng.uniform(0.7, 1.2), int(rng.integers(3, 6))
    side = Part(width / 2, 0.15, 0, 0.04, 0.3, 0.38 * levels, "wood")
    piece = [side, side._replace(x=-side.x), Part(0, 0.01, 0, width, 0.02, 1, "wood")]
    for level in range(levels):
        z, filled = 0.38 * level, rng.uniform(0.4, 0.95) * width
        piece.append(Part(0, 0.15, z, width, 0.3, 0.03, "wood"))
        left = (filled - width) / 2
        piece.append(Part(left, 0.13, z + 0.03, filled, 0.2, 0.26, "books", "books"))
    return [*piece, Part(0, 0.15, 0.38 * levels, width, 0.3, 0.03, "wood")]


@named("television")
def monitor(rng: Random) -> Piece:
    """A screen on its foot."""
    width = rng.uniform(0.45, 0.65)
    return [
        Part(0, 0.12, 0, 0.22, 0.18, 0.02, "dark"),
        Part(0, 0.1, 0.02, 0.05, 0.04, 0.14, "dark"),
        Part(0, 0.13, 0.1, width, 0.04, width * 0.6, "screen"),
    ]


@named("desk")
def desk(rng: Random) -> Piece:
    """A desk with a monitor, a drawer unit and an office chair."""
    width = rng.uniform(1.2, 1.7)
    piece = table(width, 0.75, 0.74, str(rng.choice(["wood", "white"])))
    for x in [-0.3, 0.35] if width > 1.45 and rng.random() < 0.4 else [0.0]:
        piece += shifted(monitor(rng), x, 0.08, 0.74)
    piece += [
        Part(0, 0.48, 0.74, 0.42, 0.15, 0.02, "dark"),
        Part(width / 2 - 0.25, 0.35, 0, 0.4, 0.6, 0.62, "metal"),
        Part(-width / 2 + 0.2, 0.4, 0.74, 0.22, 0.3, rng.uniform(0.02, 0.2), "white"),
    ]
    gap = rng.uniform(0.9, 1.3)
    return piece + shifted(mirrored(office_chair(rng), gap), rng.uniform(-0.25, 0.25))


@named("desk")
def school_desk(rng: Random) -> Piece:
    """A small table with its chair behind it, both looking along +y."""
    width = rng.choice([0.65, 1.2])
    piece = shifted(table(width, 0.5, 0.72), y=0.45)
    seats = [0.0] if width < 1.0 else [-0.3, 0.3]
    for x in seats:
        piece += shifted(chair(rng), x + rng.uniform(-0.05, 0.05), rng.uniform(0, 0.2))
    return piece


@named("table")
def table_with_chairs(rng: Random, width: float, depth: float) -> Piece:
    """A table with chairs along its long sides, and perhaps at its ends."""
    piece = shifted(table(width, depth, rng.uniform(0.71, 0.78)), y=0.4)
    whole, seats = depth + 0.8, max(1, int(width / 0.7))
    sits = office_chair if rng.random() < 0.25 and seats > 2 else chair
    for x in (np.arange(seats) - (seats - 1) / 2) * (width / seats):
        for flip in (False, True):
            if rng.random() < 0.9:
                one = shifted(sits(rng), x, rng.uniform(-0.1, 0.15))
                piece += mirrored(one, whole) if flip else one
    return piece


@named("sofa")
def sofa(rng: Random) -> Piece:
    """A sofa for one to three, with arms and cushions."""
    seats = int(rng.integers(1, 4))
    width = 0.65 * seats
    piece = [
        Part(0, 0.45, 0.05, width, 0.85, 0.36, "fabric"),
        Part(0, 0.12, 0.05, width, 0.24, rng.uniform(0.65, 0.85), "fabric"),
        Part(-width / 2 - 0.1, 0.45, 0.05, 0.2, 0.88, 0.55, "fabric"),
        Part(width / 2 + 0.1, 0.45, 0.05, 0.2, 0.88, 0.55, "fabric"),
    ]
    cushions = [Part(0, 0.3, 0.41, 0.4, 0.14, 0.36, "fabric", "pillow")]
    x = rng.uniform(-0.3, 0.3) * (width - 0.4)
    return piece + shifted(cushions, x) * int(rng.integers(0, 2))


@named("table")
def low_table(rng: Random) -> Piece:
    """A coffee table."""
    width, depth = rng.uniform(0.8, 1.2), rng.uniform(0.5, 0.7)
    book = Part(0.1, depth / 2, 0.4, 0.25, 0.2, 0.05, "books", "books")
    return [*table(width, depth, 0.4), book]


@named("television")
def television(rng: Random) -> Piece:
    """A low board with a wide screen."""
    width = rng.uniform(0.8, 1.3)
    return [
        Part(0, 0.22, 0, width + 0.3, 0.42, 0.45, "wood", "cabinet"),
        Part(0, 0.2, 0.5, width, 0.06, width * 0.56, "screen"),
        Part(0, 0.2, 0.45, 0.3, 0.2, 0.05, "dark"),
    ]


@named("counter")
def counter(rng: Random) -> Piece:
    """Kitchen units: a counter with sink or stove, cupboards above it."""
    width, front = rng.uniform(1.2, 2.6), str(rng.choice(["wood", "white", "fabric"]))
    x = rng.uniform(-0.3, 0.3) * (width - 0.6)
    piece = [
        Part(0, 0.32, 0.08, width, 0.58, 0.78, front),
        Part(0, 0.32, 0.86, width, 0.64, 0.04, "metal"),
        Part(x, 0.32, 0.9, 0.55, 0.5, 0.02, str(rng.choice(["dark", "metal"]))),
        Part(x, 0.08, 0.9, 0.04, 0.04, 0.25, "metal"),
        Part(-x, 0.2, 0.9, 0.25, 0.2, rng.uniform(0.15, 0.35), "metal"),
    ]
    if rng.random() < 0.75:
        piece.append(Part(0, 0.18, 1.45, width, 0.36, 0.65, front, "cabinet"))
    return piece


@named("refridgerator")
def fridge(rng: Random) -> Piece:
    """A tall fridge with a handle."""
    height, role = rng.uniform(1.5, 1.95), str(rng.choice(["white", "metal"]))
    return [
        Part(0, 0.32, 0, 0.66, 0.62, height, role),
        Part(0.27, 0.65, 0.6 * height, 0.03, 0.04, 0.35, "dark"),
        Part(0, 0.635, 0.55 * height, 0.66, 0.01, 0.02, "dark"),
    ]


@named("otherfurniture")
def stove(rng: Random) -> Piece:
    """An oven with its hood."""
    return [
        Part(0, 0.3, 0, 0.6, 0.6, 0.88, "white"),
        Part(0, 0.605, 0.25, 0.48, 0.01, 0.4, "dark"),
        Part(0, 0.3, 0.88, 0.56, 0.56, 0.02, "dark"),
        Part(0, 0.22, 1.55, 0.6, 0.44, 0.12, "metal"),
        Part(0, 0.12, 1.67, 0.25, 0.24, 0.6, "metal"),
    ]


@named("bathtub")
def bathtub(rng: Random) -> Piece:
    """Four rims around a floor, along the wall."""
    length = rng.uniform(1.5, 1.75)
    side = Part(0, 0.05, 0, length, 0.1, 0.56, "enamel")
    end = Part(-length / 2 + 0.06, 0.37, 0, 0.12, 0.74, 0.56, "enamel")
    return [
        side,
        side._replace(y=0.69),
        end,
        end._replace(x=-end.x),
        Part(0, 0.37, 0, length, 0.7, 0.16, "enamel"),
        Part(-length / 2 + 0.2, 0.06, 0.56, 0.05, 0.12, 0.2, "metal"),
    ]


@named("shower curtain")
def shower(rng: Random) -> Piece:
    """A tray with one glass wall and a pipe."""
    return [
        Part(0, 0.45, 0, 0.9, 0.9, 0.1, "enamel"),
        Part(0.44, 0.45, 0.1, 0.02, 0.9, 1.9, "mirror"),
        Part(0, 0.03, 0.9, 0.04, 0.04, 1.1, "metal"),
        Part(0, 0.15, 2.0, 0.2, 0.2, 0.04, "metal"),
    ]


@named("toilet")
def toilet(rng: Random) -> Piece:
    """Bowl, seat and tank."""
    return [
        Part(0, 0.1, 0.4, 0.42, 0.18, 0.4, "enamel"),
        Part(0, 0.4, 0.0, 0.24, 0.45, 0.36, "enamel"),
        Part(0, 0.42, 0.36, 0.38, 0.5, 0.06, "white"),
    ]


@named("sink")
def sink(rng: Random) -> Piece:
    """A basin on a foot, and a mirror above it."""
    width = rng.uniform(0.5, 0.7)
    return [
        Part(0, 0.2, 0, 0.18, 0.18, 0.72, "enamel"),
        Part(0, 0.24, 0.72, width, 0.46, 0.14, "enamel"),
        Part(0, 0.26, 0.855, width - 0.12, 0.3, 0.01, "dark"),
        Part(0, 0.06, 0.86, 0.04, 0.12, 0.12, "metal"),
        Part(0, 0.01, 1.15, 0.6, 0.02, 0.75, "mirror", "mirror"),
    ]


@named("box")
def carton(rng: Random) -> Piece:
    """A box, a bin or a bag: what lies about anywhere."""
    width, depth, height = rng.uniform(0.25, 0.6, 3)
    role = str(rng.choice(["wood", "fabric", "dark", "white", "metal"]))
    return [Part(0, depth / 2, 0, width, depth, height, role)]


@named("otherprop")
def plant(rng: Random) -> Piece:
    """A pot with leaves."""
    height = rng.uniform(0.4, 1.0)
    return [
        Part(0, 0.2, 0, 0.3, 0.3, 0.3, "fabric"),
        Part(0, 0.2, 0.3, 0.4, 0.4, height, "plant"),
        Part(0.05, 0.2, 0.3 + 0.2 * height, 0.55, 0.3, 0.5 * height, "plant"),
    ]


@named("dresser")
def drawers(rng: Random) -> Piece:
    """A chest of drawers or a filing cabinet."""
    width, height = rng.uniform(0.45, 1.1), rng.uniform(0.7, 1.3)
    role = str(rng.choice(["wood", "metal", "white"]))
    lines = [
        Part(0, 0.455, z, width - 0.06, 0.01, 0.02, "dark")
        for z in np.linspace(0.2, height - 0.2, 3)
    ]
    return [Part(0, 0.23, 0, width, 0.45, height, role), *lines]


@named("otherfurniture")
def bench(rng: Random) -> Piece:
    """A plain bench."""
    return table(rng.uniform(1.0, 1.6), 0.38, 0.45)


@named("desk")
def lectern(rng: Random) -> Piece:
    """The teacher's table with its chair at the wall."""
    return [*shifted(table(1.4, 0.65, 0.75), y=0.6), *chair(rng)]


def flat(role: str, low: float, width: float, height: float) -> Piece:
    """Something thin on a wall: only the colour camera can tell what it is."""
    return [Part(0, 0.012, low, width, 0.02, height, role)]


@named("door")
def door(rng: Random) -> Piece:
    """A door with its frame and handle."""
    role = str(rng.choice(["wood", "white", "fabric"]))
    return [
        Part(0, 0.02, 0, 0.88, 0.04, 2.02, role),
        Part(-0.47, 0.04, 0, 0.08, 0.08, 2.08, "white"),
        Part(0.47, 0.04, 0, 0.08, 0.08, 2.08, "white"),
        Part(0.34, 0.07, 1.0, 0.12, 0.06, 0.03, "metal"),
    ]


@named("picture")
def picture(rng: Random) -> Piece:
    """A picture or a poster."""
    width, height = rng.uniform(0.4, 1.0, 2)
    return flat("picture", rng.uniform(1.2, 1.5), width, height)


@named("window")
def window(rng: Random) -> Piece:
    """A window."""
    return flat("window", 0.9, rng.uniform(0.9, 1.6), rng.uniform(0.9, 1.3))


@named("whiteboard")
def board(rng: Random) -> Piece:
    """A blackboard or a whiteboard."""
    role = str(rng.choice(["blackboard", "whiteboard"]))
    return flat(role, 0.9, rng.uniform(1.6, 3.0), 1.1)


CLUTTER: tuple[Callable[[Random], Piece], ...] = (
    carton,
    plant,
    drawers,
    bookshelf,
    bench,
)
