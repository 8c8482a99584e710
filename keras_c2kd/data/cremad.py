"""CREMA-D: emotions of actors who say a sentence, as faces and voices."""

from __future__ import annotations

import re
from pathlib import Path

from keras_c2kd.data.clips import (
    Clip,
    check_unique,
    index_clips,
    locate,
    read_rows,
    refuse,
)
from keras_c2kd.data.samples import Samples

EMOTIONS = ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")
_LISTS = {"train": "train.csv", "test": "test.csv"}
# Actor, sentence, emotion and its level (one clip has a single letter there).
_STEM = re.compile(r"[0-9]{4}_[A-Z]{3}_([A-Z]{3})_[A-Z]{1,2}")


def read_cremad(
    data_dir: str | Path,
    on_error: str = "raise",
    keep_incomplete: bool = False,
    min_found: float = 0.0,
) -> dict[str, Samples]:
    """Lists the clips of CREMA-D, one frame and the sound of each.

    There is no validation list: hold some of train out with `Samples.split`.

    Args:
        data_dir: the folder with `train.csv`, `test.csv`, `AudioWAV/` and
            `Image-01-FPS/`; `python -m keras_c2kd.data.prepare cremad` makes the
            latter from `VideoFlash/`.
        on_error: `"raise"` stops at the first broken wav file, `"skip"` takes such
            for missing and lists them in `notes`.
        keep_incomplete: keep a clip of which only one modality is there.
        min_found: the share of listed clips that must be on disk, 0 to 1.

    Returns:
        `{"train": Samples, "test": Samples}`, modalities `"image"` (the middle frame
        of the clip) and `"audio"`.

    Raises:
        ValueError: when `data_dir` is not CREMA-D, a list is damaged, or too few of
            its clips are on disk.

    Example:

    ```python
    splits = read_cremad("data/cremad")
    splits["train"].class_names, len(splits["test"])
    ```

    Reference:
        H. Cao et al., "CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset",
        IEEE Transactions on Affective Computing 2014.
    """
    root, clips = list_cremad(data_dir)
    return {
        split: index_clips(
            root, split, clips[split], EMOTIONS, 1, on_error, keep_incomplete, min_found
        )
        for split in _LISTS
    }


def list_cremad(data_dir: str | Path) -> tuple[Path, dict[str, list[Clip]]]:
    """The dataset's folder and the clips of its lists, there or not."""
    root = locate(data_dir, "CREMA-D", tuple(_LISTS.values()))
    clips = {split: _read(root, root / file) for split, file in _LISTS.items()}
    check_unique([clip for split in clips.values() for clip in split])
    return root, clips


def _read(root: Path, path: Path) -> list[Clip]:
    clips = []
    for place, (stem, emotion) in read_rows(path, ("stem", "emotion")):
        named = _STEM.fullmatch(stem)
        if emotion not in EMOTIONS:
            refuse(place, f"an emotion of {', '.join(EMOTIONS)}", emotion)
        # The emotion is in the name too, and the two agree in the real lists.
        if named is None or named[1] != emotion:
            refuse(place, f"a clip like 1001_DFA_{emotion}_XX", stem)
        clips.append(
            Clip(
                id=stem,
                class_name=emotion,
                place=place,
                video=root / "VideoFlash" / f"{stem}.flv",
                frames=root / "Image-01-FPS" / stem,
                wav=root / "AudioWAV" / f"{stem}.wav",
            )
        )
    return clips
