"""What the readers of clips share: list files, folders of frames, wav files."""

from __future__ import annotations

import csv
import dataclasses
import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_c2kd.data.paths import inside
from keras_c2kd.data.samples import Samples, check_found
from keras_c2kd.data.wav import index_wavs

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_ADVICE = "Put the files themselves there, or link the dataset as a whole."


@dataclasses.dataclass(frozen=True)
class Clip:
    """One line of a list, and where its parts lie.

    Attributes:
        id: unique within a dataset.
        class_name: what the list says it shows.
        place: the line, as `"<file>, line 3"`, for messages.
        video: the download, for `prepare`.
        frames: the folder of its frames.
        wav: its sound.
        span: seconds of the video that are meant; `None`: all of it.
    """

    id: str
    class_name: str
    place: str
    video: Path
    frames: Path
    wav: Path
    span: tuple[float, float] | None = None


def locate(data_dir: str | Path, dataset: str, files: Sequence[str]) -> Path:
    """The dataset's folder, symlinks resolved, once its list files are there."""
    root = Path(data_dir)
    missing = [str(root / file) for file in files if not (root / file).is_file()]
    if missing:
        raise ValueError(
            f"`data_dir` must hold {dataset}: looked for {' and '.join(missing)}. "
            f"Received: data_dir={str(data_dir)!r}"
        )
    return root.resolve()


def read_rows(
    path: Path, columns: Sequence[str], delimiter: str = ",", quoted: bool = True
) -> Iterator[tuple[str, list[str]]]:
    """The rows of a list file without a header, each with its place.

    Args:
        path: the file; UTF-8, with or without a byte order mark, any line ends.
        columns: their names, for messages.
        delimiter: one character.
        quoted: a field may stand in double quotes; otherwise they are letters.

    Yields:
        `("<file>, line <n>", fields)`; empty lines are left out.

    Raises:
        ValueError: no text, no table, or a row of another width.
    """
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    reader = csv.reader(
        io.StringIO(_read_text(path), newline=""),
        delimiter=delimiter,
        quoting=quoting,
        strict=True,
    )
    expected = f"the columns {delimiter.join(columns)}"
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            refuse(f"{path}, line {reader.line_num}", expected, error)
        if fields is None:
            return
        place = f"{path}, line {reader.line_num}"
        if fields and (len(fields) != len(columns) or not all(map(_is_plain, fields))):
            refuse(place, expected, fields)
        if fields:
            yield place, fields


def refuse(place: str, expected: str, received: object) -> None:
    """Raises the one error of list files."""
    raise ValueError(
        f"Expected {expected} in {place}; download the list again. "
        f"Received: {received!r}"
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        refuse(f"{path}, line {line}", "UTF-8", error.object[error.start :][:8])


def _is_plain(field: str) -> bool:
    """Text of one line without blanks around it: no quote went astray."""
    return bool(field) and field == field.strip() and field.isprintable()


def check_unique(clips: Sequence[Clip]) -> None:
    """Refuses a clip that is listed twice, in one list or in two."""
    seen: dict[str, str] = {}
    for clip in clips:
        if clip.id in seen:
            refuse(clip.place, f"clips that are not in {seen[clip.id]} too", clip.id)
        seen[clip.id] = clip.place


def index_clips(
    root: Path,
    split: str,
    clips: Sequence[Clip],
    class_names: tuple[str, ...],
    num_frames: int = 1,
    on_error: str = "raise",
    keep_incomplete: bool = False,
    min_found: float = 0.0,
    notes: Sequence[str] = (),
) -> Samples:
    """Looks for the frames and wav files of listed clips.

    Args:
        root: the dataset's folder, resolved.
        split: its name, for the notes.
        clips: those of one split.
        class_names: the names of the classes.
        num_frames: frames per clip, evenly spaced.
        on_error: `"raise"` stops at the first broken wav file; `"skip"` takes such
            for missing, and says so in `notes`.
        keep_incomplete: keep a clip of which only one modality is there.
        min_found: the share of listed clips that must be there, 0 to 1.
        notes: what else there is to say.

    Returns:
        `Samples` with `"image"`, paths `(samples, num_frames)`, and `"audio"`.
    """
    if on_error not in ("raise", "skip"):
        raise ValueError(
            f'`on_error` must be "raise" or "skip". Received: on_error={on_error!r}'
        )
    images = [find_frames(root, clip.frames, num_frames) for clip in clips]
    images = np.array(images, str).reshape(len(clips), num_frames)
    broken: list[str] = []
    audio = index_wavs(
        [find_file(root, clip.wav) for clip in clips],
        broken if on_error == "skip" else None,
    )
    there = np.stack([(images != "").all(axis=1), audio["path"] != ""])
    found = there.any(axis=0) if keep_incomplete else there.all(axis=0)
    if clips and not found.any():
        raise ValueError(
            f"Expected frames and wav files of the {len(clips)} listed {split} clips; "
            "make them from the videos with python -m keras_c2kd.data.prepare. "
            f"Received: frames of {there[0].sum()} and wav files of {there[1].sum()} "
            f"in data_dir={str(root)!r}"
        )
    note = check_found(int(found.sum()), len(clips), min_found, f"{split} clips", root)
    notes = [note, *(f"{split}: {sentence}" for sentence in (*notes, *broken))]
    labels = [class_names.index(clip.class_name) for clip in clips]
    samples = Samples(
        ids=tuple(clip.id for clip in clips),
        sources={"image": images, "audio": audio},
        labels=np.array(labels, np.int32),
        class_names=class_names,
        notes=tuple(notes),
    )
    # Clips of which nothing is there are only counted; complete() does the others.
    samples = samples.take(np.flatnonzero(there.any(axis=0)))
    return samples.complete(keep_incomplete)


def find_frames(root: Path, folder: Path, count: int) -> list[str]:
    """Evenly spaced frames of a clip: the middles of `count` equal segments.

    Args:
        root: the dataset's folder, resolved.
        folder: a folder of JPEG files whose names count up.
        count: how many; of fewer files some are taken more than once.

    Returns:
        `count` paths, in order; empty ones when there is no frame.
    """
    try:
        with os.scandir(folder) as entries:
            files = [entry for entry in entries if _is_jpeg(entry.name)]
    except OSError:  # not there, no folder, or a name longer than the system allows
        files = []
    if not files:
        return [""] * count
    inside(root, folder, _ADVICE)
    files.sort(key=lambda entry: _counting(entry.name))
    chosen = [files[(2 * i + 1) * len(files) // (2 * count)] for i in range(count)]
    for entry in chosen:
        if entry.is_symlink():
            inside(root, Path(entry.path), _ADVICE)
    return [entry.path for entry in chosen]


def find_file(root: Path, path: Path) -> str:
    """The path, or an empty one when no file is there."""
    try:
        there = path.is_file()
    except OSError:
        return ""
    return str(inside(root, path, _ADVICE)) if there else ""


def _is_jpeg(name: str) -> bool:
    return name.lower().endswith((".jpg", ".jpeg")) and not name.startswith(".")


def _counting(name: str) -> list:
    """A sort key with which frame 10 comes after frame 9."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"([0-9]+)", name)
    ]
