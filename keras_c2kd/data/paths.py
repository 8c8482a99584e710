"""Files below a dataset's root and never elsewhere; folders put in place whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath


def below(root: Path, listed: str, list_file: str | Path) -> Path:
    """The file that a list names, refused when it would lie outside of the root.

    Args:
        root: the dataset's folder, symlinks resolved.
        listed: a relative path from a list file, with forward slashes.
        list_file: the list, for the message.

    Returns:
        The path below `root`; the file need not exist.

    Raises:
        ValueError: absolute paths, `..`, and null bytes.

    Example:

    >>> below(Path("/data"), "a/b.jpg", "list.txt").as_posix()
    '/data/a/b.jpg'
    """
    parts = PurePosixPath(listed).parts
    if not parts or parts[0] == "/" or ".." in parts or "\0" in listed:
        raise ValueError(
            f"Expected paths below the dataset's root in {list_file}. "
            f"Received: path={listed!r}"
        )
    return root.joinpath(*parts)


def inside(root: Path, path: Path, advice: str = "") -> Path:
    """The path as it is, refused when a symlink leads out of the root.

    Args:
        root: the dataset's folder, symlinks resolved.
        path: a path below it.
        advice: what to do about it, a sentence for the message.

    Returns:
        `path`.

    Raises:
        ValueError: a link that leads out of `root` or nowhere.
    """
    advice = f" {advice}" if advice else ""
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError before Python 3.13
        raise ValueError(
            f"Expected {path} to lie inside of {root}, but its symlink leads "
            f"nowhere.{advice} Received: {error}"
        ) from error
    if not resolved.is_relative_to(root):
        raise ValueError(
            f"Expected {path} to lie inside of {root}, but a symlink leads out of "
            f"it.{advice} Received: {resolved}"
        )
    return path


def replace_folder(root: Path, aside: Path, is_whole: Callable[[], bool]) -> None:
    """Puts a new folder in place; a second writer's equal one is as good."""
    old = aside.with_name(f"{aside.name}.old")
    try:
        if root.exists():
            os.replace(root, old)
        os.replace(aside, root)
    except OSError:
        if not is_whole():
            raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
