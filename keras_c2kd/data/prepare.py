"""Downloaded videos become the frames and wav files that the readers take.

    python -m keras_c2kd.data.prepare cremad --data_dir=/data/cremad
    python -m keras_c2kd.data.prepare ave --data_dir=/data/ave
    python -m keras_c2kd.data.prepare vggsound --data_dir=/data/vggsound

The lists say which clips there are. A run that was stopped goes on where it was: what
is there is left as it is. What cannot be decoded is listed in `prepare_failed.tsv`.
"""

from __future__ import annotations

import csv
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from keras_c2kd.data.ave import list_ave
from keras_c2kd.data.clips import Clip, find_file, find_frames
from keras_c2kd.data.cremad import list_cremad
from keras_c2kd.data.paths import inside
from keras_c2kd.data.vggsound import find_clips, list_vggsound
from keras_c2kd.data.video import import_av, write_frames, write_wav

FAILED = "prepare_failed.tsv"
DATASETS = {"cremad": list_cremad, "ave": list_ave, "vggsound": list_vggsound}


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What `prepare` did.

    Attributes:
        made: clips that were decoded now.
        before: clips that were there.
        missing: listed clips without a video.
        failed: `(video, what, reason)` of what could not be decoded.
    """

    made: int
    before: int
    missing: int
    failed: tuple[tuple[str, str, str], ...]

    def __str__(self) -> str:
        clips = self.made + self.before
        return (
            f"{clips} clips are ready ({self.made} made now, {self.before} before), "
            f"{self.missing} are not on disk, {len(self.failed)} files could not be "
            "made" + (f" (see {FAILED})" if self.failed else "")
        )


def prepare(
    dataset: str,
    data_dir: str | Path,
    workers: int | None = None,
    list_file: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Makes frames (one a second, JPEG) and wav files (16 kHz, mono) from videos.

    Each clip is written aside and renamed, so it is there as a whole or not at all,
    and a stopped run can be started again.

    Args:
        dataset: `"cremad"` (`VideoFlash/<stem>.flv`), `"ave"` (`AVE/<id>.mp4`, of which
            the span in the list is taken) or `"vggsound"` (`<id>_<start>.mp4` anywhere
            below `<split>-videos/`).
        data_dir: the dataset's folder, with its lists.
        workers: clips at a time; `None`: one per core.
        list_file: of VGGSound, `"vggsound.csv"` unless given.
        progress: called as `progress(done, total)` after every clip.

    Returns:
        `Prepared`. What failed is also in `prepare_failed.tsv`, columns video, what
        (frames or wav), reason.

    Raises:
        ValueError: no such dataset, or its lists are not there or damaged.
        ImportError: PyAV is not installed.

    Example:

    ```python
    print(prepare("ave", "data/ave"))
    splits = read_ave("data/ave")
    ```
    """
    if dataset not in DATASETS:
        raise ValueError(
            f"`dataset` must be one of {', '.join(DATASETS)}. "
            f"Received: dataset={dataset!r}"
        )
    import_av()
    root, clips = _list(dataset, data_dir, list_file)
    counts = {"made": 0, "before": 0, "missing": 0}
    failed: list[tuple[str, str, str]] = []
    pool = ThreadPoolExecutor(workers or os.cpu_count() or 1)
    try:
        # PyAV and the JPEG encoder let go of the interpreter lock while they work.
        outcomes = pool.map(lambda clip: _prepare_clip(root, clip), clips)
        for done, (outcome, failures) in enumerate(outcomes, start=1):
            if outcome is not None:
                counts[outcome] += 1
            failed.extend(failures)
            if progress is not None:
                progress(done, len(clips))
    finally:
        pool.shutdown(cancel_futures=True)
    _write_failed(root, failed)
    return Prepared(**counts, failed=tuple(failed))


def _list(dataset, data_dir, list_file) -> tuple[Path, list[Clip]]:
    """Each clip once, though a video of AVE may be listed with two categories."""
    if dataset == "vggsound":
        root, splits = list_vggsound(data_dir, list_file or "vggsound.csv")
        splits = {name: find_clips(root, name, splits[name]) for name in splits}
    else:
        root, splits = DATASETS[dataset](data_dir)
    clips = [clip for split in splits.values() for clip in split]
    return root, list({clip.frames: clip for clip in clips}.values())


def _prepare_clip(root: Path, clip: Clip) -> tuple[str | None, list]:
    """What became of a clip, `None` if it failed, and its failures."""
    failures = []
    try:
        wanted = _wanted(root, clip)
        if not wanted:
            return "before", []
        if not find_file(root, clip.video):
            return "missing", []
    except ValueError as error:  # a link that leads out of the dataset
        return None, [(str(clip.video), "clip", str(error))]
    for what, (write, target) in wanted.items():
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            inside(root, target.parent)
            write(clip.video, target, clip.span)
        except OSError:  # a full disk: the next clip would fail as well
            raise
        except Exception as error:  # one clip must not end a run of hours
            reason = f"{type(error).__name__}: {error}"
            failures.append((str(clip.video), what, reason))
    return (None if failures else "made"), failures


def _wanted(root: Path, clip: Clip) -> dict[str, tuple]:
    """What is not there yet, with the function that makes it."""
    wanted = {}
    if find_frames(root, clip.frames, 1) == [""]:
        wanted["frames"] = (write_frames, clip.frames)
    if not find_file(root, clip.wav):
        wanted["wav"] = (write_wav, clip.wav)
    return wanted


def _write_failed(root: Path, failed: Sequence[tuple[str, str, str]]) -> None:
    """The list of this run, put in place as a whole; none when nothing failed."""
    path = root / FAILED
    if not failed:
        path.unlink(missing_ok=True)
        return
    aside = root / f".{FAILED}.writing"
    with open(aside, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(("video", "what", "reason"))
        writer.writerows(failed)
    os.replace(aside, path)


def main(arguments: Sequence[str]) -> None:
    """The command; a known mistake ends in one sentence."""
    import keras
    from absl import flags

    bars: list[keras.utils.Progbar] = []

    def progress(done, total):
        if not bars:
            bars.append(keras.utils.Progbar(total, unit_name="clip"))
        bars[0].update(done)

    try:
        if len(arguments) != 2 or not flags.FLAGS.data_dir:
            raise ValueError(
                f"Expected one of {', '.join(DATASETS)}, and --data_dir. "
                f"Received: {' '.join(arguments[1:]) or 'nothing'}"
            )
        done = prepare(
            arguments[1],
            flags.FLAGS.data_dir,
            flags.FLAGS.workers,
            flags.FLAGS.list_file,
            progress,
        )
    except (ValueError, ImportError, OSError) as error:
        sys.exit(f"\n{type(error).__name__}: {error}")
    print(f"{arguments[1]}: {done}")


if __name__ == "__main__":
    from absl import app, flags

    flags.DEFINE_string("data_dir", None, "The dataset as downloaded, with its lists.")
    flags.DEFINE_integer("workers", None, "Clips at a time.", lower_bound=1)
    flags.DEFINE_string("list_file", None, "The list of VGGSound: vggsound.csv.")
    app.run(main)
