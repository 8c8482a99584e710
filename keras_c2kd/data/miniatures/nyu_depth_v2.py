"""A small NYU Depth V2 of generated rooms, in the layout of the real one."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from keras_c2kd.data.miniatures.common import write_miniature
from keras_c2kd.data.rooms import ROOM_CLASSES, furnish, photograph

_VERSION = 1  # raised whenever the same seed gives other files
_WIDTH, _HEIGHT = 80, 60
_TRAIN_SHARE = 795 / 1449
_FINE_CLASSES = 894
_VOID_SHARE = 0.5  # of the pixels where two things meet
_HEADER = (
    "MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: a miniature HDF5 schema 1.00"
)
# The 40 classes, with the spelling of the real file.
CLASS_NAMES = (
    *"wall floor cabinet bed chair sofa table door window bookshelf picture".split(),
    *"counter blinds desk shelves curtain dresser pillow mirror".split(),
    *("floor mat", "clothes", "ceiling", "books", "refridgerator", "television"),
    *("paper", "towel", "shower curtain", "box", "whiteboard", "person"),
    *("night stand", "toilet", "sink", "lamp", "bathtub", "bag"),
    *("otherstructure", "otherfurniture", "otherprop"),
)
# The class of each fine class, from 1; every class has 22 of them or 23.
FINE_TO_CLASS = 7 * np.arange(1, 1 + _FINE_CLASSES) % len(CLASS_NAMES) + 1


def write_nyu_depth_v2(
    root: str | os.PathLike,
    num_samples: int = 300,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature NYU Depth V2, or finds the one that was written before.

    The rooms are those of the SUN RGB-D miniature, photographed at 80 x 60; the caster
    of their rays knows what each pixel sees, so labels are exact, but for some void
    ones where two things meet. It is written aside and renamed, so it is there as a
    whole or not at all; another version, seed or size is replaced.

    Args:
        root: The folder that will hold `nyu_depth_v2_labeled.mat` (HDF5, MATLAB's axes
            reversed, compressed chunks), `splits.mat` and `classMapping40.mat`.
        num_samples: Frames, at least 8; 55 % are for training, as in the real one.
        seed: The same seed gives the same files.
        progress: Called as `progress(done, total)` after every frame.

    Returns:
        `root`.

    Raises:
        ValueError: too few frames, or `root` holds something that is no miniature.

    Example:

    ```python
    root = write_nyu_depth_v2("miniature", num_samples=40)
    splits = read_nyu_depth_v2(root)
    ```
    """
    if num_samples < 8:
        raise ValueError(
            f"Expected at least 8 frames. Received: num_samples={num_samples}"
        )
    return write_miniature(
        root,
        {"version": _VERSION, "seed": seed, "num_samples": num_samples},
        3,
        lambda aside: _write(aside, num_samples, seed, progress),
    )


def _write(root: Path, num_samples: int, seed: int, progress) -> None:
    # NumPy lets go of the interpreter lock in its larger operations.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        frames = pool.map(lambda number: _frame(seed, number), range(num_samples))
        _write_frames(root / "nyu_depth_v2_labeled.mat", frames, num_samples, progress)
    _write_split(root / "splits.mat", num_samples, seed)
    _write_classes(root / "classMapping40.mat")


def _frame(seed: int, number: int) -> dict[str, np.ndarray]:
    """One frame of every variable, rows before columns."""
    rng = np.random.default_rng([seed, number])
    room, camera = furnish(ROOM_CLASSES[number % len(ROOM_CLASSES)], rng)
    picture = photograph(room, camera, rng, _WIDTH, _HEIGHT)
    kinds = np.array([CLASS_NAMES.index(kind) for kind in room.kinds])
    classes = kinds[picture.surface]
    # Each thing has a fine class of its own among those of its class.
    fine = np.array(
        [rng.choice(np.flatnonzero(FINE_TO_CLASS == 1 + kind)) for kind in kinds]
    )
    labels = (1 + fine[picture.surface]).astype(np.uint16)
    labels[_edges(classes) & (rng.random(classes.shape) < _VOID_SHARE)] = 0
    return {
        "images": picture.rgb,
        "depths": (picture.depth_filled / 1000.0).astype(np.float32),
        "rawDepths": (picture.depth / 1000.0).astype(np.float32),
        "labels": labels,
        "instances": (1 + picture.surface % 255).astype(np.uint8) * (labels > 0),
    }


def _edges(classes: np.ndarray) -> np.ndarray:
    """Where a pixel's right or lower neighbour is of another class."""
    edges = np.zeros(classes.shape, bool)
    edges[:, :-1] |= classes[:, :-1] != classes[:, 1:]
    edges[:-1] |= classes[:-1] != classes[1:]
    return edges


def _write_frames(path: Path, frames, count: int, progress) -> None:
    # MATLAB keeps 512 bytes of its own in front of the HDF5 file.
    with h5py.File(path, "w", userblock_size=512) as file:
        for done, frame in enumerate(frames):
            for name, values in frame.items():
                reversed_axes = values.T  # MATLAB's columns come first
                if done == 0:
                    _create(file, name, count, reversed_axes)
                file[name][done] = reversed_axes
            if progress is not None:
                progress(done + 1, count)
    with open(path, "r+b") as file:
        file.write(_HEADER.encode().ljust(124) + b"\x00\x02IM")


def _create(file, name, count, frame) -> None:
    dataset = file.create_dataset(
        name,
        shape=(count, *frame.shape),
        dtype=frame.dtype,
        chunks=(1, *frame.shape),
        compression="gzip",
        compression_opts=3,
    )
    kind = {"f4": "single", "u1": "uint8", "u2": "uint16"}[frame.dtype.str[1:]]
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)


def _write_split(path: Path, count: int, seed: int) -> None:
    """Numbers from 1 in columns, sorted, train and test mixed as in the real one."""
    order = 1 + np.random.default_rng([seed, count, 1]).permutation(count)
    train = round(_TRAIN_SHARE * count)
    numbers = {"trainNdxs": order[:train], "testNdxs": order[train:]}
    columns = {name: np.sort(n)[:, None].astype(float) for name, n in numbers.items()}
    scipy.io.savemat(path, columns, do_compression=True)


def _write_classes(path: Path) -> None:
    fine_names = [
        f"{CLASS_NAMES[kind - 1]} {number}"
        for number, kind in enumerate(FINE_TO_CLASS, start=1)
    ]
    names, all_names = (np.empty((1, n), object) for n in (40, _FINE_CLASSES))
    names[0], all_names[0] = CLASS_NAMES, fine_names
    variables = {
        "className": names,
        "mapClass": FINE_TO_CLASS[None].astype(float),
        "allClassName": all_names,
    }
    scipy.io.savemat(path, variables, do_compression=True)
