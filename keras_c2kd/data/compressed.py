"""FLAC and MP3 files: their headers, for `Spectrogram(codec=...)`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_c2kd.data.flac import check_flac

_EMPTY = {"path": "", "rate": 0, "bytes": 0}
_MOST_BYTES = 1 << 30
_SEARCHED = 1 << 16  # bytes in which the first frame of an MP3 file is looked for
# MPEG 1, 2 and 2.5 by the two bits that tell them apart; layer III only.
_RATES = {
    3: (44100, 48000, 32000),
    2: (22050, 24000, 16000),
    0: (11025, 12000, 8000),
}
_KILOBITS = {
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def index_compressed(
    paths: Sequence[str], broken: list[str] | None = None
) -> dict[str, np.ndarray]:
    """Reads the headers of FLAC and MP3 files, as `index_wavs` does those of wav files.

    FLAC files are read whole, for their checksums: their decoder in tensorflow-io never
    returns from a damaged one.

    Args:
        paths: the files, by content, not by name; `""` stands for one that is missing.
        broken: collects what is wrong with a file, which then counts as missing;
            `None` raises at the first one.

    Returns:
        Arrays, one entry per file: `path`; `rate` in Hz and `bytes`, the size, which
        are 0 where a file is missing.

    Raises:
        ValueError: no FLAC or MP3 file, or a FLAC file that is damaged or of other
            than 16 bits.

    Example:

    ```python
    sources = {"audio": index_compressed(["0_george_0.flac", ""])}
    modality = Spectrogram(8000, 1.0, 128, 64, codec="flac")
    ```
    """
    headers = []
    for path in map(str, paths):
        try:
            headers.append(read_header(path) if path else _EMPTY)
        except ValueError as error:
            if broken is None:
                raise
            broken.append(str(error))
            headers.append(_EMPTY)
    return {
        name: np.array(
            [header[name] for header in headers], str if name == "path" else np.int64
        )
        for name in _EMPTY
    }


def read_header(path: str) -> dict[str, Any]:
    """One entry of `index_compressed`."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > _MOST_BYTES:
                raise ValueError(f"{size} bytes, more than 1 GiB")
            return {"path": path, "rate": _rate(file), "bytes": size}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            f"Expected a FLAC or MP3 file at {path}; convert it, or leave such samples "
            f"out. Received: {reason}"
        ) from error


def _rate(file) -> int:
    start = file.read(10)
    if start[:3] == b"ID3" and len(start) == 10:  # a tag; 7 bits of each byte count
        size = 0
        for byte in start[6:]:
            size = size << 7 | byte & 0x7F
        file.seek(10 + size)
    else:
        file.seek(0)
    content = file.read(_SEARCHED)
    if content[:4] == b"fLaC":
        return check_flac(content + file.read())
    return _mp3_rate(content)


def _mp3_rate(content: bytes) -> int:
    """Of the first frame that another one like it follows, or the end."""
    at = content.find(b"\xff")
    while at >= 0:
        frame = _mp3_frame(content[at : at + 4])
        if frame is not None:
            length, rate = frame
            following = content[at + length : at + length + 4]
            after = _mp3_frame(following)
            if not following or (after is not None and after[1] == rate):
                return rate
        at = content.find(b"\xff", at + 1)
    raise ValueError(f"neither, {content[:12]!r} at its start")


def _mp3_frame(header: bytes) -> tuple[int, int] | None:
    """Length in bytes and rate of a frame, if this is the header of one."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, kilobits = header[1] >> 3 & 3, header[2] >> 4
    which, padding = header[2] >> 2 & 3, header[2] >> 1 & 1
    if version not in _RATES or kilobits in (0, 15) or which == 3:
        return None
    rate = _RATES[version][which]
    samples = 144 if version == 3 else 72
    kilobits = _KILOBITS[3 if version == 3 else 2][kilobits - 1]
    return samples * 1000 * kilobits // rate + padding, rate
