"""How every miniature is put on disk: aside, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_c2kd.data.paths import replace_folder

_MANIFEST = "manifest.json"


def write_miniature(
    root: str | os.PathLike,
    manifest: Mapping[str, Any],
    num_files: int,
    write: Callable[[Path], None],
) -> Path:
    """Writes a miniature, or finds the one that was written before.

    It is written aside and renamed, so it is there as a whole or not at all; one with
    another manifest is replaced.

    Args:
        root: the folder to make.
        manifest: what the files depend on: a version, the seed, the size.
        num_files: how many files `write` writes, to notice a file that is gone.
        write: fills the empty folder it is given.

    Returns:
        `root`.

    Raises:
        ValueError: `root` holds something that is no miniature.
    """
    root, manifest = Path(root), dict(manifest)

    def is_whole() -> bool:
        files = sum(len(names) for _, _, names in os.walk(root))
        return _read(root) == manifest and files == num_files + 1

    if is_whole():
        return root
    if root.exists() and any(root.iterdir()) and not (root / _MANIFEST).exists():
        raise ValueError(
            "Expected `root` to be empty, absent, or an earlier miniature, which would "
            f"be replaced. Received: root={str(root)!r}, a folder with other files"
        )
    root.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{root.name}.", dir=root.parent))
    try:
        write(aside)
        (aside / _MANIFEST).write_text(json.dumps(manifest), "utf-8")
        replace_folder(root, aside, is_whole)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return root


def _read(root: Path) -> dict | None:
    try:
        return json.loads((root / _MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return None
