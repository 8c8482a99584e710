"""VGGSound: sounds whose source is seen, on YouTube."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from keras_c2kd.data.clips import (
    YOUTUBE_ID,
    Clip,
    check_unique,
    index_clips,
    locate,
    read_rows,
    refuse,
)
from keras_c2kd.data.paths import below, inside
from keras_c2kd.data.samples import Samples

_SPLITS = ("train", "test")
_COLUMNS = ("id", "start", "label", "split")
_START = re.compile(r"[0-9]{1,6}")


def read_vggsound(
    data_dir: str | Path,
    list_file: str = "vggsound.csv",
    num_frames: int = 3,
    on_error: str = "raise",
    keep_incomplete: bool = False,
    min_found: float = 0.0,
) -> dict[str, Samples]:
    """Lists the clips of VGGSound, a few frames and the sound of each.

    There is no validation list: hold some of train out with `Samples.split`.

    Args:
        data_dir: the folder with the list, and for each split `<split>-videos/` and
            `<split>-audios/`. Somewhere below them lie, for each clip, the folder
            `<id>_<start>.mp4/` of its frames and the file `<id>_<start>.wav`, the
            start in six digits; `python -m keras_c2kd.data.prepare vggsound` makes
            them from the videos.
        list_file: a CSV file of the columns id, start, label, split without a header;
            part of the official one, to read a part of the dataset.
        num_frames: evenly spaced frames of each clip.
        on_error: `"raise"` stops at the first broken wav file, `"skip"` takes such
            for missing and lists them in `notes`.
        keep_incomplete: keep a clip of which only one modality is there.
        min_found: the share of listed clips that must be on disk, 0 to 1; videos
            vanish from YouTube.

    Returns:
        `{"train": Samples, "test": Samples}`, modalities `"image"` and `"audio"`;
        the classes are those of the list, sorted.

    Raises:
        ValueError: when `data_dir` is not VGGSound, the list is damaged, or too few
            of its clips are on disk.

    Example:

    ```python
    splits = read_vggsound("data/vggsound", list_file="vggsound_50.csv")
    splits["train"].class_names, len(splits["test"])
    ```

    Reference:
        H. Chen et al., "VGGSound: A Large-Scale Audio-Visual Dataset", ICASSP 2020.
    """
    if num_frames < 1:
        raise ValueError(
            f"`num_frames` must be 1 or more. Received: num_frames={num_frames}"
        )
    root, clips = list_vggsound(data_dir, list_file)
    class_names = _class_names(clips)
    return {
        split: index_clips(
            root,
            split,
            find_clips(root, split, clips[split]),
            class_names,
            num_frames,
            on_error,
            keep_incomplete,
            min_found,
        )
        for split in _SPLITS
    }


def list_vggsound(
    data_dir: str | Path, list_file: str = "vggsound.csv"
) -> tuple[Path, dict[str, list[Clip]]]:
    """The dataset's folder and the clips of its list, whether they are there or not.

    Their paths are those that `prepare` writes to.
    """
    root = locate(data_dir, "VGGSound", (list_file,))
    path = below(root, list_file, "`list_file`")
    clips: dict[str, list[Clip]] = {split: [] for split in _SPLITS}
    for place, (video, start, label, split) in read_rows(path, _COLUMNS):
        if not YOUTUBE_ID.fullmatch(video):
            refuse(place, "an id of 11 letters, digits, - and _", video)
        if not _START.fullmatch(start):
            refuse(place, "a start in whole seconds", start)
        if split not in _SPLITS:
            refuse(place, "the split train or test", split)
        name = f"{video}_{int(start):06d}"
        videos, wavs = root / f"{split}-videos", root / f"{split}-audios"
        clips[split].append(
            Clip(
                id=name,
                class_name=label,
                place=place,
                video=videos / f"{split}-set" / f"{name}.mp4",
                frames=videos / f"{split}-set-img" / "Image-01-FPS" / f"{name}.mp4",
                wav=wavs / f"{split}-set" / f"{name}.wav",
            )
        )
    check_unique(clips["train"] + clips["test"])
    return root, clips


def _class_names(clips: dict[str, list[Clip]]) -> tuple[str, ...]:
    """Every class is in train and in test, as in the real list."""
    names = {split: {clip.class_name for clip in clips[split]} for split in _SPLITS}
    for split, other in (("train", "test"), ("test", "train")):
        for clip in clips[split]:
            if clip.class_name not in names[other]:
                refuse(clip.place, f"a label that {other} has too", clip.class_name)
    return tuple(sorted(names["train"]))


def find_clips(root: Path, split: str, clips: Sequence[Clip]) -> list[Clip]:
    """The clips with the paths on this disk, however the folders between are called."""
    videos = find_named(root, f"{split}-videos", ".mp4", folders=False)
    frames = find_named(root, f"{split}-videos", ".mp4", folders=True)
    wavs = find_named(root, f"{split}-audios", ".wav", folders=False)
    return [
        dataclasses.replace(
            clip,
            video=videos.get(clip.video.name, clip.video),
            frames=frames.get(clip.frames.name, clip.frames),
            wav=wavs.get(clip.wav.name, clip.wav),
        )
        for clip in clips
    ]


def find_named(root: Path, top: str, suffix: str, folders: bool) -> dict[str, Path]:
    """All files, or all folders, of a suffix at any depth, by name.

    Args:
        root: the dataset's folder, resolved.
        top: the folder below it to look in.
        suffix: such as `".mp4"`; folders called so are not looked into.
        folders: whether folders are meant.

    Returns:
        Name to path; of several the first in the order of their folders.
    """
    found: dict[str, Path] = {}
    if (root / top).exists():
        inside(root, root / top)
    for folder, names, files in os.walk(root / top):
        for name in sorted(names if folders else files):
            if name.endswith(suffix) and not name.startswith("."):
                found.setdefault(name, Path(folder, name))
        names[:] = sorted(
            name for name in names if not name.endswith(".mp4") and name[0] != "."
        )
    return found
