"""CrisisMMD: tweets and their pictures, read from the lists as they are published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_c2kd.data.paths import below, inside
from keras_c2kd.data.samples import Samples, check_found

TASKS = ("humanitarian", "informative", "damage")
_PARTS = {"train": "train", "validation": "dev", "test": "test"}
COLUMNS = ("image_id", "tweet_text", "image", "label")  # those that are read
_FOLDERS = (".", "crisismmd_datasplit_all")  # the lists are an archive of their own


def read_crisismmd(
    data_dir: str | Path,
    task: str = "humanitarian",
    keep_incomplete: bool = False,
    min_found: float = 0.0,
) -> dict[str, Samples]:
    """Lists the text-image pairs of CrisisMMD v2 with its train, dev and test parts.

    The classes are those of the train list. A picture that is gone is left out and
    counted; so is a tweet without text.

    Args:
        data_dir: the folder with `data_image/`, and the `task_*_text_img_*.tsv` in
            it or in `crisismmd_datasplit_all/`.
        task: `"humanitarian"`, `"informative"` or `"damage"`.
        keep_incomplete: keep a pair of which only one modality is there.
        min_found: the share of listed pictures that must be on disk, 0 to 1.

    Returns:
        `{"train", "validation", "test"}` to `Samples`, modalities `"image"` (paths)
        and `"text"` (strings).

    Raises:
        ValueError: no such lists, a row of other columns than its header's, a label
            that train has not, a picture outside of the dataset.

    Example:

    ```python
    splits = read_crisismmd("data/CrisisMMD_v2.0", task="damage")
    splits["train"].class_names
    ```
    """
    if task not in TASKS:
        raise ValueError(f"`task` must be one of {TASKS}. Received: task={task!r}")
    root = Path(data_dir).resolve()
    lists = _find_lists(root, task, data_dir)
    rows = {part: read_rows(path) for part, path in lists.items()}
    class_names = tuple(sorted({row["label"] for row in rows["train"]}))
    if len(class_names) < 2:
        raise ValueError(
            f"Expected two labels or more in {lists['train']}, to have something to "
            f"tell apart. Received: labels {class_names}"
        )
    _check_unique(rows, lists)
    return {
        part: _samples(
            part,
            rows[part],
            lists[part],
            root,
            class_names,
            keep_incomplete,
            min_found,
        )
        for part in _PARTS
    }


def _find_lists(root, task, data_dir):
    names = {part: f"task_{task}_text_img_{name}.tsv" for part, name in _PARTS.items()}
    for folder in _FOLDERS:
        lists = {part: root / folder / name for part, name in names.items()}
        if all(path.is_file() for path in lists.values()):
            return {part: inside(root, path) for part, path in lists.items()}
    raise ValueError(
        f"`data_dir` must hold CrisisMMD's lists: looked for "
        f"{', '.join(names.values())} in it and in {_FOLDERS[1]}/. "
        f"Received: data_dir={str(data_dir)!r}"
    )


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a list; text is what people type, so quotes mean nothing.

    Args:
        path: tab-separated, UTF-8, with or without a byte order mark; the first line
            names the columns, which are fewer for the task "damage".

    Returns:
        One dict per row, of `COLUMNS`; `"line"` is its number.

    Raises:
        ValueError: other bytes, or a row of another number of columns.
    """
    try:
        # Only "\\n" ends a row: a carriage return may stand inside of a tweet.
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"Expected UTF-8 in {path}, line {number}; download the list again. "
            f"Received: {error.object[error.start :][:8]!r}"
        ) from error
    header = tuple(lines[0].rstrip("\r").split("\t"))
    if any(header.count(name) != 1 for name in COLUMNS):
        raise ValueError(
            f"Expected the columns {', '.join(COLUMNS)}, each once, in {path}, line 1; "
            f"download the list again. Received: {str(header)[:200]}"
        )
    return [
        _row(path, number, header, line.rstrip("\r"))
        for number, line in enumerate(lines[1:], start=2)
        if line.strip("\r")
    ]


def _row(path, number, header, line):
    fields = line.split("\t")
    row = dict(zip(header, fields, strict=False))
    whole = len(fields) == len(header) and all(
        row[name].strip() and row[name].isprintable() for name in ("image_id", "label")
    )
    if not whole:
        raise ValueError(
            f"Expected {len(header)} columns in {path}, line {number}, with an "
            f"image_id and a label; download the list again. "
            f"Received: {len(fields)} columns, {line[:80]!r}"
        )
    # A null byte would end a string in TensorFlow's ops early.
    text = " ".join(row["tweet_text"].replace("\0", " ").split())
    read = {name: row[name] for name in COLUMNS}
    return {**read, "tweet_text": text, "line": number}


def _check_unique(rows, lists):
    """A picture in two parts would be trained and tested on."""
    seen = {}
    for part, part_rows in rows.items():
        for row in part_rows:
            place = f"{lists[part]}, line {row['line']}"
            if row["image_id"] in seen:
                raise ValueError(
                    f"Expected every image_id once, but that of {place} is in "
                    f"{seen[row['image_id']]} too; download the lists again. "
                    f"Received: image_id={row['image_id']!r}"
                )
            seen[row["image_id"]] = place


def _samples(
    part: str,
    rows: Sequence[dict],
    path: Path,
    root: Path,
    class_names: tuple[str, ...],
    keep_incomplete: bool,
    min_found: float,
) -> Samples:
    for row in rows:
        if row["label"] not in class_names:
            raise ValueError(
                f"Expected only labels of the train list, {', '.join(class_names)}, in "
                f"{path}, line {row['line']}. Received: label={row['label']!r}"
            )
    images = [_find(root, row, path) for row in rows]
    found = sum(image != "" for image in images)
    note = check_found(found, len(rows), min_found, f"{part} pictures", root)
    samples = Samples(
        ids=tuple(row["image_id"] for row in rows),
        sources={
            "image": np.array(images, str),
            # Objects: one very long text must not widen every other.
            "text": np.array([row["tweet_text"] for row in rows], object),
        },
        labels=np.array([class_names.index(row["label"]) for row in rows], np.int32),
        class_names=class_names,
        notes=(note,),
    )
    return samples.complete(keep_incomplete)


def _find(root, row, path):
    """The picture of a row, or an empty path when it is gone."""
    file = below(root, row["image"], f"{path}, line {row['line']}")
    try:
        there = file.is_file()
    except OSError:  # a name longer than the file system allows
        there = False
    return str(inside(root, file)) if there else ""
