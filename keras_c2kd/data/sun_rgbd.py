"""SUN RGB-D scene classification, read from the dataset as it is downloaded."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from keras_c2kd.data.matlab import read_mat
from keras_c2kd.data.paths import inside
from keras_c2kd.data.samples import Samples, check_found

# The classes with more than 80 images, on which the field reports its results.
OFFICIAL_CLASSES = tuple(
    "bathroom bedroom classroom computer_room conference_room corridor dining_area "
    "dining_room discussion_area furniture_store home_office kitchen lab "
    "lecture_theatre library living_room office rest_space study_space".split()
)
_SPLIT_FILE = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"
_LINKED = "Put the file itself there, or link the folder SUNRGBDtoolbox as a whole."
_ADVICE = "Repair the scene, or leave such scenes out with --on_error=skip."


@dataclasses.dataclass(frozen=True)
class Scene:
    """One scene on disk: its id (the path below SUNRGBD/), class and files."""

    id: str
    class_name: str
    rgb: str
    depth: str


def read_sun_rgbd(
    data_dir: str | Path,
    classes: Sequence[str] | None = None,
    depth: str = "depth_bfx",
    on_error: str = "raise",
    keep_incomplete: bool = False,
    min_found: float = 0.0,
) -> dict[str, Samples]:
    """Lists the RGB-depth pairs of SUN RGB-D with its own train and test split.

    Only scenes that are both listed in the split and on disk are read, so a part
    of the dataset works as well; `notes` of each index say how much was found.

    Args:
        data_dir: the folder with `SUNRGBD/` and `SUNRGBDtoolbox/`, or `SUNRGBD`
            itself with the toolbox beside it.
        classes: names of the classes to keep. `None` takes the 19 official ones
            as far as they occur in train, or all classes of train when none of
            the 19 is there. Test scenes of other classes are left out.
        depth: `"depth_bfx"` (holes filled) or `"depth"` (as measured). Where
            `depth_bfx` is missing for a scene, its `depth` is taken.
        on_error: `"raise"` stops at the first incomplete scene, `"skip"` leaves
            such scenes out and lists them in `notes`.
        keep_incomplete: keep a scene of which only one modality is there.
        min_found: the share of listed scenes that must be on disk, 0 to 1.

    Returns:
        `{"train": Samples, "test": Samples}`, modalities `"rgb"` and `"depth"`.

    Raises:
        ValueError: when `data_dir` is not SUN RGB-D, a scene is incomplete or
            leads outside of the dataset, fewer than two classes are there, or
            one half of the split is empty.

    Example:

    ```python
    splits = read_sun_rgbd("data/sun_rgbd")
    splits["train"].class_names, len(splits["test"])
    ```
    """
    _check_choice("depth", depth, ("depth_bfx", "depth"))
    _check_choice("on_error", on_error, ("raise", "skip"))
    root, split_file = locate(data_dir)
    scenes, notes = {}, {}
    for name, listed in read_split_lists(split_file).items():
        on_disk = [scene for scene in listed if _is_on_disk(root, scene)]
        scenes[name], broken = read_scenes(
            root, on_disk, depth, on_error, required=not keep_incomplete
        )
        notes[name] = [
            check_found(
                len(on_disk), len(listed), min_found, f"{name} scenes", data_dir
            )
        ]
        if broken:
            notes[name].append(f"{len(broken)} incomplete scenes were left out")
            notes[name].extend(broken)
    names = choose_classes(scenes["train"], scenes["test"], classes, data_dir)
    return {
        split: _index(split, scenes[split], names, notes[split], data_dir)
        for split in ("train", "test")
    }


def locate(data_dir: str | Path) -> tuple[Path, Path]:
    """The folder SUNRGBD, symlinks resolved, and the split file beside it."""
    data_dir = Path(data_dir)
    for base in (data_dir, data_dir.absolute().parent):
        root = base / "SUNRGBD" if base == data_dir else data_dir.absolute()
        if root.name == "SUNRGBD" and root.is_dir() and (base / _SPLIT_FILE).is_file():
            toolbox = (base / _SPLIT_FILE).parents[1]
            split_file = inside(toolbox.resolve(), base / _SPLIT_FILE, _LINKED)
            return root.resolve(), split_file
    raise ValueError(
        "`data_dir` must hold SUN RGB-D as downloaded: looked for the folder "
        f"{data_dir / 'SUNRGBD'} and the file {data_dir / _SPLIT_FILE} "
        f"(or for the latter beside {data_dir}, were that SUNRGBD itself). "
        f"Received: data_dir={str(data_dir)!r}"
    )


def read_split_lists(split_file: Path) -> dict[str, list[str]]:
    """Scene ids of both halves, whoever's disk the listed paths are from.

    Args:
        split_file: `allsplit.mat`, with cell arrays `alltrain` and `alltest`.

    Returns:
        `{"train": [...], "test": [...]}`, each such as `"kv1/NYUdata/NYU0001"`.
    """
    try:
        cells = read_mat(split_file, ["alltrain", "alltest"])
        listed = {
            split: [_text(cell) for cell in cells[f"all{split}"].ravel()]
            for split in ("train", "test")
        }
    except (OSError, ValueError) as error:
        raise ValueError(
            "Expected a MATLAB file with the cell arrays alltrain and alltest of "
            f"paths at {split_file}; download it again. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    return {
        split: list(dict.fromkeys(_scene_id(path, split_file) for path in paths))
        for split, paths in listed.items()
    }


def _text(cell) -> str:
    value = cell.item() if isinstance(cell, np.ndarray) and cell.size == 1 else cell
    if not isinstance(value, str):
        raise ValueError(f"a cell of {type(cell).__name__} where a path should be")
    return value


def _scene_id(listed_path: str, split_file: Path) -> str:
    _, marker, scene = f"/{listed_path}".partition("/SUNRGBD/")
    parts = PurePosixPath(scene).parts
    if not marker or not parts or ".." in parts or "\0" in scene or parts[0] == "/":
        raise ValueError(
            f"Expected paths below SUNRGBD/ in {split_file}. "
            f"Received: path={listed_path!r}"
        )
    return "/".join(parts)


def _is_on_disk(root: Path, scene: str) -> bool:
    try:
        return (root / scene).is_dir()
    except OSError:  # a name longer than the file system allows
        return False


def read_scenes(
    root: Path,
    scene_ids: Collection[str],
    depth: str,
    on_error: str,
    required: bool = True,
) -> tuple[list[Scene], list[str]]:
    """Reads scenes; returns those that are complete and the other ones' faults."""
    scenes, broken = [], []
    for scene_id in scene_ids:
        try:
            scenes.append(read_scene(root, scene_id, depth, required))
        except ValueError as error:
            if on_error == "raise":
                raise
            broken.append(str(error))
    return scenes, broken


def read_scene(
    root: Path, scene_id: str, depth: str = "depth_bfx", required: bool = True
) -> Scene:
    """Reads one scene's class and finds its files.

    Args:
        root: the folder SUNRGBD, resolved.
        scene_id: path of the scene below it.
        depth: `"depth_bfx"` or `"depth"`.
        required: refuse a scene that lacks a file; otherwise its path is `""`.

    Returns:
        A `Scene`.
    """
    folder = root / scene_id
    class_name = _read_class(inside(root, folder / "scene.txt", _ADVICE))
    patterns = tuple(dict.fromkeys((f"{depth}/*.png", "depth/*.png")))
    rgb = _first_file(root, folder, ("image/*.jpg",), required)
    return Scene(
        scene_id, class_name, rgb, _first_file(root, folder, patterns, required)
    )


def _read_class(path: Path) -> str:
    try:
        class_name = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(
            f"Expected the name of the scene's class in {path}. {_ADVICE} "
            f"Received: {type(error).__name__}"
        ) from error
    if not class_name:
        raise ValueError(
            f"Expected the name of the scene's class in {path}. {_ADVICE} "
            "Received: an empty file"
        )
    return class_name


def _first_file(root, folder, patterns: Sequence[str], required: bool) -> str:
    for pattern in patterns:
        files = sorted(folder.glob(pattern))
        if files:
            return str(inside(root, files[0], _ADVICE))
    if not required:
        return ""
    raise ValueError(
        f"Expected a file {' or '.join(patterns)} in {folder}. {_ADVICE} "
        "Received: no such file"
    )


def choose_classes(
    train: Sequence[Scene],
    test: Sequence[Scene],
    classes: Sequence[str] | None,
    data_dir: str | Path,
) -> tuple[str, ...]:
    """The sorted names of the classes to learn; see `read_sun_rgbd`."""
    in_train = {scene.class_name for scene in train}
    in_either = in_train | {scene.class_name for scene in test}
    if classes is not None:
        wanted = set(classes)
        _require(
            wanted <= in_train,
            "Every class in `classes` needs scenes in train; there are "
            f"{sorted(in_train)}. Received: classes={tuple(classes)}, "
            f"data_dir={str(data_dir)!r}",
        )
    elif in_either & set(OFFICIAL_CLASSES):
        wanted = in_train & set(OFFICIAL_CLASSES)
    else:
        wanted = in_train
    _require(
        len(wanted) >= 2,
        "Expected scenes of two classes or more in train, to have something to "
        f"tell apart. Received: classes={sorted(wanted)}, data_dir={str(data_dir)!r}",
    )
    return tuple(sorted(wanted))


def _index(
    split: str,
    scenes: Sequence[Scene],
    class_names: tuple[str, ...],
    notes: Sequence[str],
    data_dir: str | Path,
) -> Samples:
    kept = [scene for scene in scenes if scene.class_name in class_names]
    _require(
        kept,
        f"Expected scenes for {split}, but none of the chosen classes "
        f"{class_names} is there. Received: data_dir={str(data_dir)!r}",
    )
    others = sorted({s.class_name for s in scenes} - set(class_names))
    if others:
        count = len(scenes) - len(kept)
        notes = [*notes, f"{count} scenes of other classes were left out: {others}"]
    samples = Samples(
        ids=tuple(scene.id for scene in kept),
        sources={
            "rgb": np.array([scene.rgb for scene in kept]),
            "depth": np.array([scene.depth for scene in kept]),
        },
        labels=np.array([class_names.index(s.class_name) for s in kept], np.int32),
        class_names=class_names,
        notes=tuple(f"{split}: {note}" for note in notes),
    )
    return samples.complete(keep_incomplete=True)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    _require(
        value in choices,
        f"`{name}` must be one of {choices}. Received: {name}={value!r}",
    )


def _require(condition: object, message: str) -> None:
    if not condition:
        raise ValueError(message)
