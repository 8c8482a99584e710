"""AVE: events of everyday life that are seen and heard, on YouTube."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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
from keras_c2kd.data.samples import Samples

AVE_CLASSES = (
    "Accordion",
    "Acoustic guitar",
    "Baby cry, infant cry",
    "Banjo",
    "Bark",
    "Bus",
    "Cat",
    "Chainsaw",
    "Church bell",
    "Clock",
    "Female speech, woman speaking",
    "Fixed-wing aircraft, airplane",
    "Flute",
    "Frying (food)",
    "Goat",
    "Helicopter",
    "Horse",
    "Male speech, man speaking",
    "Mandolin",
    "Motorcycle",
    "Race car, auto racing",
    "Rodents, rats, mice",
    "Shofar",
    "Toilet flush",
    "Train horn",
    "Truck",
    "Ukulele",
    "Violin, fiddle",
)
_LISTS = {
    "train": "trainSet.txt",
    "validation": "valSet.txt",
    "test": "testSet.txt",
}
_COLUMNS = ("category", "id", "quality", "start", "end")
_SECONDS = re.compile(r"[0-9]{1,4}")


def read_ave(
    data_dir: str | Path,
    on_error: str = "raise",
    keep_incomplete: bool = False,
    min_found: float = 0.0,
) -> dict[str, Samples]:
    """Lists the events of AVE, one frame and the sound of each.

    Some videos are listed twice with two categories (a man and a woman speaking), in
    one list or in two; both are kept, as published, and the notes count them.

    Args:
        data_dir: the folder with `trainSet.txt`, `valSet.txt`, `testSet.txt`,
            `Image-01-FPS-SE/<id>/*.jpg` and `AudioWAV-SE/<id>.wav`, both taken between
            start and end of the event; `python -m keras_c2kd.data.prepare ave` makes
            them from `AVE/<id>.mp4`.
        on_error: `"raise"` stops at the first broken wav file, `"skip"` takes such
            for missing and lists them in `notes`.
        keep_incomplete: keep an event of which only one modality is there.
        min_found: the share of listed events that must be on disk, 0 to 1; videos
            vanish from YouTube.

    Returns:
        `{"train": Samples, "validation": Samples, "test": Samples}`, modalities
        `"image"` (the middle frame of the event) and `"audio"`; those of the 28
        classes that are in train.

    Raises:
        ValueError: when `data_dir` is not AVE, a list is damaged, or too few of its
            events are on disk.

    Example:

    ```python
    splits = read_ave("data/ave")
    splits["train"].class_names, len(splits["test"])
    ```

    Reference:
        Y. Tian et al., "Audio-Visual Event Localization in Unconstrained Videos",
        ECCV 2018.
    """
    root, clips = list_ave(data_dir)
    in_train = {clip.class_name for clip in clips["train"]}
    class_names = tuple(name for name in AVE_CLASSES if name in in_train)
    for split in clips:
        for clip in clips[split]:
            if clip.class_name not in in_train:
                refuse(clip.place, "a category of the train list", clip.class_name)
    notes = _shared_videos(clips)
    return {
        split: index_clips(
            root,
            split,
            clips[split],
            class_names,
            1,
            on_error,
            keep_incomplete,
            min_found,
            notes[split],
        )
        for split in _LISTS
    }


def list_ave(data_dir: str | Path) -> tuple[Path, dict[str, list[Clip]]]:
    """The dataset's folder and the events of its lists, there or not."""
    root = locate(data_dir, "AVE", tuple(_LISTS.values()))
    clips = {split: _read(root, root / file) for split, file in _LISTS.items()}
    flat = [clip for split in clips.values() for clip in split]
    check_unique(flat)
    _check_spans(flat)
    return root, clips


def _read(root: Path, path: Path) -> list[Clip]:
    clips = []
    for place, row in read_rows(path, _COLUMNS, delimiter="&", quoted=False):
        category, video, _, start, end = row
        if category not in AVE_CLASSES:
            refuse(place, "one of the 28 categories of AVE", category)
        if not YOUTUBE_ID.fullmatch(video):
            refuse(place, "an id of 11 letters, digits, - and _", video)
        if not (_SECONDS.fullmatch(start) and _SECONDS.fullmatch(end)):
            refuse(place, "start and end in whole seconds", f"{start}&{end}")
        first, last = int(start), int(end)
        if last < first:
            refuse(place, "an event that ends after its start", f"{start}&{end}")
        clips.append(
            Clip(
                id=f"{category}/{video}",
                class_name=category,
                place=place,
                video=root / "AVE" / f"{video}.mp4",
                frames=root / "Image-01-FPS-SE" / video,
                wav=root / "AudioWAV-SE" / f"{video}.wav",
                # One event of the real list ends in the second in which it starts.
                span=(float(first), float(max(last, first + 1))),
            )
        )
    return clips


def _check_spans(clips: Sequence[Clip]) -> None:
    """Each video has one folder of frames, so all its events must be one span."""
    spans: dict[Path, Clip] = {}
    for clip in clips:
        first = spans.setdefault(clip.video, clip)
        if first.span != clip.span:
            refuse(clip.place, f"the start and end of {first.place}", clip.span)


def _shared_videos(clips: Mapping[str, Sequence[Clip]]) -> dict[str, list[str]]:
    """How many videos of a split are in train too, under another category."""
    train = {clip.video for clip in clips["train"]}
    notes: dict[str, list[str]] = {split: [] for split in clips}
    for split in clips:
        count = len(train & {clip.video for clip in clips[split]})
        if split != "train" and count:
            notes[split].append(
                f"{count} videos are in train too, with another category (as published)"
            )
    return notes
