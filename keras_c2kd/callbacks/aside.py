"""Files that are whole or not there, after a power loss too."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def written_aside(file: Path, aside: Path, advice: str) -> Iterator[None]:
    """In it `aside` is written; then it is `file`: the old one or the new, never half.

    What is done in order is on the disk in order: a checkpoint never outlives the
    student that it knows of.

    Args:
        file: where it will be.
        aside: a neighbour of it; it goes away when something fails.
        advice: for the message, a sentence.

    Raises:
        OSError: the disk is full, or does not take what is written.
    """
    try:
        yield
        _to_disk(aside)
        os.replace(aside, file)
    except OSError as error:
        raise OSError(f"{advice} Received: {error} at {file}") from error
    finally:
        aside.unlink(missing_ok=True)
    if os.name == "posix":  # a folder cannot be opened elsewhere
        with contextlib.suppress(OSError):  # not every file system can do it
            _to_disk(file.parent)


def _to_disk(path):
    """Else a rename may be kept, and what was written before it lost."""
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
