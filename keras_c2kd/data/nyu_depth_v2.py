"""NYU Depth V2 semantic segmentation, read from the dataset as it is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from keras_c2kd.data.hdf5 import check_frames
from keras_c2kd.data.matlab import read_mat
from keras_c2kd.data.nyu_frames import VOID, NyuDepth, NyuLabels, NyuRgb
from keras_c2kd.data.paths import inside
from keras_c2kd.data.samples import Samples, check_found

__all__ = ["VOID", "NyuDepth", "NyuLabels", "NyuRgb", "read_nyu_depth_v2"]
_FRAMES = "nyu_depth_v2_labeled.mat"
_SPLITS, _CLASSES = "splits.mat", "classMapping40.mat"
_ADVICE = "Put the files themselves there, or link the dataset as a whole."
_KINDS = {"images": "u1", "depths": "f4", "labels": "u2"}


def read_nyu_depth_v2(
    data_dir: str | Path, keep_incomplete: bool = False, min_found: float = 0.0
) -> dict[str, Samples]:
    """Lists the labeled RGB-depth frames of NYU Depth V2 with the official split.

    The 894 fine classes of the file become the 40 on which the field reports mean
    intersection over union; pixels without a class are void and take no part.

    Args:
        data_dir: the folder with `nyu_depth_v2_labeled.mat`, `splits.mat` (795 frames
            for training, 654 for testing) and `classMapping40.mat`.
        keep_incomplete: without effect: every frame has colour, depth and labels.
        min_found: the share of listed frames that must be in the file, 0 to 1.

    Returns:
        `{"train": Samples, "test": Samples}`, modalities `"rgb"`, `"depth"` and
        `"labels"`, each a path and an index; labels also the class of each fine class.
        `Samples.labels` are zeros: the labels are those of the pixels.

    Raises:
        ValueError: when one of the files is not there, leads outside of the dataset, is
            damaged or something else, or the halves of the split overlap or are empty.

    Example:

    ```python
    splits = read_nyu_depth_v2("data/nyu_depth_v2")
    modalities = {
        "rgb": NyuRgb(240, 320),
        "depth": NyuDepth(240, 320),
        "labels": NyuLabels(240, 320),
    }
    train = decode(splits["train"], modalities, cache_dir="cache")
    ```

    Reference:
        N. Silberman, D. Hoiem, P. Kohli, R. Fergus, "Indoor Segmentation and Support
        Inference from RGBD Images", ECCV 2012; the 40 classes are those of S. Gupta, P.
        Arbelaez, J. Malik, CVPR 2013.
    """
    files = {name: _locate(data_dir, name) for name in (_FRAMES, _SPLITS, _CLASSES)}
    splits = read_split(files[_SPLITS])
    names, table = read_classes(files[_CLASSES])
    count = count_frames(files[_FRAMES])
    path = str(files[_FRAMES].absolute())
    samples = {}
    for split, listed in splits.items():
        there = listed[listed < count]
        note = check_found(
            len(there), len(listed), min_found, f"{split} frames", data_dir
        )
        samples[split] = _index(path, there, names, table, (f"{split}: {note}",))
    return samples


def _locate(data_dir, name) -> Path:
    path = Path(data_dir) / name
    if not path.is_file():
        raise ValueError(
            f"`data_dir` must hold NYU Depth V2 as downloaded, {_FRAMES}, {_SPLITS} "
            f"and {_CLASSES}; there is no file {path}. "
            f"Received: data_dir={str(data_dir)!r}"
        )
    return inside(Path(data_dir).resolve(), path, _ADVICE)


def _index(path, positions, names, table, notes) -> Samples:
    source = {"path": np.full(len(positions), path), "index": positions}
    return Samples(
        ids=tuple(f"{position + 1:04d}" for position in positions),
        sources={
            "rgb": source,
            "depth": source,
            # One table for all; `take` makes copies of under a kilobyte each.
            "labels": {
                **source,
                "classes": np.broadcast_to(table, (len(positions), len(table))),
            },
        },
        labels=np.zeros(len(positions), np.int32),
        class_names=names,
        notes=notes,
    )


def read_split(path: Path) -> dict[str, np.ndarray]:
    """Positions of the frames of both halves, from 0, in the order of the file.

    Args:
        path: `splits.mat`, with `trainNdxs` and `testNdxs`, from 1.

    Returns:
        `{"train": int64 (N,), "test": int64 (M,)}`.
    """
    what = "the numbers of frames, trainNdxs and testNdxs"
    numbers = _read_mat(path, ("trainNdxs", "testNdxs"), what)
    halves = {}
    for split in ("train", "test"):
        listed = numbers[f"{split}Ndxs"].ravel()
        if not _are_whole(listed, 1, 2**31) or len(np.unique(listed)) != len(listed):
            raise _unfit(path, what, f"{split}Ndxs that are not different and from 1")
        halves[split] = listed.astype(np.int64) - 1
    both = np.intersect1d(*halves.values())
    if len(both):
        raise _unfit(path, what, f"{len(both)} frames in both halves")
    return halves


def read_classes(path: Path) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of the classes, and the class of each fine class.

    Args:
        path: `classMapping40.mat`, with `mapClass` (fine class to class, from 1, 0 =
            void) and `className`.

    Returns:
        The names, and uint8 `(1 + fine classes,)`: positions in the names, 255 = void.
    """
    what = "the classes, mapClass and className"
    read = _read_mat(path, ("mapClass", "className"), what)
    names = tuple(str(cell) for cell in read["className"].ravel())
    if not 2 <= len(set(names)) == len(names) < VOID or "" in names:
        raise _unfit(path, what, f"className with the names {names}"[:200])
    classes = read["mapClass"].ravel()
    if not len(classes) or not _are_whole(classes, 0, len(names)):
        raise _unfit(path, what, f"mapClass that is not between 0 and {len(names)}")
    table = np.full(1 + len(classes), VOID, np.uint8)
    table[1:] = np.where(classes > 0, classes - 1, VOID)
    return names, table


def count_frames(path: Path) -> int:
    """How many frames the labeled file has, once its structure is known to be whole."""
    what = "images, depths and labels, MATLAB 7.3"
    try:
        found = check_frames(str(path), tuple(_KINDS))
    except ValueError as error:
        raise _unfit(path, what, str(error)) from error
    shapes = {name: tuple(about["shape"]) for name, about in found.items()}
    kinds = {name: np.dtype(about["dtype"]).str[1:] for name, about in found.items()}
    count, size = shapes["depths"][0], shapes["depths"][1:]
    expected = {"images": (count, 3, *size), "depths": (count, *size)}
    expected["labels"] = expected["depths"]
    if len(size) != 2 or 0 in size or shapes != expected or kinds != _KINDS:
        listed = ", ".join(f"{name} {shapes[name]} {kinds[name]}" for name in _KINDS)
        raise _unfit(path, what, listed)
    return count


def _read_mat(path, names, what):
    try:
        return read_mat(path, names)
    except (ValueError, OSError) as error:
        raise _unfit(path, what, str(error)) from error


def _are_whole(numbers, low, high) -> bool:
    if numbers.dtype.kind not in "uif" or not len(numbers):
        return False
    with np.errstate(invalid="ignore"):  # NaN is not whole
        inside = (numbers >= low) & (numbers <= high)
        return bool((inside & (numbers == np.floor(numbers))).all())


def _unfit(path, what, received) -> ValueError:
    return ValueError(
        f"Expected {what} in {path}; download it again. Received: {received}"
    )
