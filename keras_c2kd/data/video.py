"""Frames and sound of downloaded videos, decoded by PyAV."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import shutil
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

# Containers that hold their own streams. ffmpeg knows others (playlists) that make it
# open files and addresses named inside of a file.
_CONTAINERS = "flv,mov,mp4,matroska,webm,avi,mpegts,mpeg,ogg,asf"
_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
_MOST_PIXELS = 1 << 26  # of one frame: 8K has half as many
_EARLY = 1e-3  # seconds; times are rounded to milliseconds in FLV
_MISSING_END = 1.0  # seconds; streams of a whole clip do not end together
_QUALITY = 95
_WHOLE = (0.0, math.inf)


def import_av() -> Any:
    """PyAV, or a sentence on how to get it."""
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "Expected PyAV, which decodes videos; install it with "
            f"pip install 'keras_c2kd[video]'. Received: {error}"
        ) from error
    return av


def write_frames(
    video: Path, folder: Path, span: tuple[float, float] | None = None
) -> int:
    """Writes one frame of every second as a JPEG file, all of them or none.

    The frame of second k is the first one shown from then on; its file is called after
    the second, `00007.jpg`. Frames that ffmpeg marks as damaged are passed over.

    Args:
        video: the file to decode.
        folder: the folder to make, written aside and renamed.
        span: seconds, start and end; the end is excluded. `None`: all.

    Returns:
        The number of frames.

    Raises:
        ValueError: no video, nothing inside of the span, or an end that is missing.
    """
    aside = folder.with_name(f".{folder.name}.writing")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        count = 0
        for second, pixels in read_frames(video, span):
            jpeg = tf.io.encode_jpeg(pixels, quality=_QUALITY).numpy()
            (aside / f"{second:05d}.jpg").write_bytes(jpeg)
            count += 1
        if folder.is_dir() and any(folder.iterdir()):
            raise ValueError(
                f"Expected no folder or an empty one at {folder}, to put frames "
                "there. Received: a folder with other files"
            )
        os.replace(aside, folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return count


def write_wav(
    video: Path,
    wav: Path,
    span: tuple[float, float] | None = None,
    rate: int = 16_000,
) -> int:
    """Writes the sound as a 16-bit mono wav file, all of it or none.

    Args:
        video: the file to decode.
        wav: the file to write, aside and renamed.
        span: seconds, start and end. `None`: all.
        rate: samples per second.

    Returns:
        The number of samples.

    Raises:
        ValueError: no sound, nothing inside of the span, or an end that is missing.
    """
    aside = wav.with_name(f".{wav.name}.writing")
    wav.parent.mkdir(parents=True, exist_ok=True)
    try:
        count = 0
        with wave.open(str(aside), "wb") as file:
            file.setparams((1, 2, rate, 0, "NONE", ""))
            for samples in read_samples(video, span, rate):
                file.writeframes(samples.astype("<i2").tobytes())
                count += len(samples)
        os.replace(aside, wav)
    finally:
        aside.unlink(missing_ok=True)
    return count


def read_frames(
    video: Path, span: tuple[float, float] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Decodes one frame of every second.

    Args:
        video: the file to decode.
        span: seconds, start and end; the end is excluded. `None`: all.

    Yields:
        `(second, uint8 (height, width, 3))`, the second counted in the video.

    Raises:
        ValueError: no video, nothing inside of the span, or an end that is missing.
    """
    start, end = span or _WHOLE
    second = int(start)
    time, found = 0.0, False
    with _opened(video, "video") as (container, stream, origin):
        stream.codec_context.options = {"max_pixels": str(_MOST_PIXELS)}
        for frame in _decoded(container, stream):
            time = frame.time - origin
            if time >= end - _EARLY:
                return
            if time >= second - _EARLY and not frame.is_corrupt:
                second = int(time + _EARLY)
                yield second, _upright(frame)
                second, found = second + 1, True
        _check_end(container, stream, found, time, (start, end))


def read_samples(
    video: Path, span: tuple[float, float] | None = None, rate: int = 16_000
) -> Iterator[np.ndarray]:
    """Decodes the sound.

    Args:
        video: the file to decode.
        span: seconds, start and end. `None`: all.
        rate: samples per second to resample to.

    Yields:
        int16 `(samples,)`, mono, one after the other.

    Raises:
        ValueError: no sound, nothing inside of the span, or an end that is missing.
    """
    start, end = span or _WHOLE
    first = round(start * rate)
    last = math.inf if end == math.inf else round(end * rate)
    position, found = 0, False
    with _opened(video, "audio") as (container, stream, origin):
        for position, samples in _resampled(container, stream, origin, rate):
            cut = samples[max(first - position, 0) :]
            cut = cut[: max(0, min(last - max(position, first), len(cut)))]
            position += len(samples)
            if len(cut):
                if not found and position - len(samples) > first:
                    # The sound sets in after the picture; they stay together.
                    yield np.zeros(position - len(samples) - first, np.int16)
                found = True
                yield cut
            if position >= last:
                return
        _check_end(container, stream, found, position / rate, (start, end))


def _resampled(container, stream, origin, rate):
    """int16 mono samples, and which of the video's samples the first one is."""
    resampler = import_av().AudioResampler(format="s16", layout="mono", rate=rate)
    position = None
    for frame in itertools.chain(_decoded(container, stream), [None]):
        if position is None and frame is None:
            return
        if position is None:
            position = round((frame.time - origin) * rate)
        for resampled in resampler.resample(frame):  # None: the rest
            samples = resampled.to_ndarray().reshape(-1)
            yield position, samples
            position += len(samples)


@contextlib.contextmanager
def _opened(video: Path, kind: str):
    """The container, its first stream of a kind, and the time at which it starts."""
    av = import_av()
    try:
        with av.open(str(video), options=_OPTIONS) as container:
            streams = [stream for stream in container.streams if stream.type == kind]
            if not streams:
                raise ValueError(_sentence(video, f"no {kind} stream"))
            streams[0].thread_type = "NONE"  # clips are decoded side by side
            yield container, streams[0], (container.start_time or 0) / av.time_base
    except av.error.FFmpegError as error:
        raise ValueError(
            _sentence(video, f"{type(error).__name__}: {error.strerror}")
        ) from error


def _decoded(container, stream) -> Iterator[Any]:
    """Frames; packets that cannot be decoded are passed over, as ffmpeg does."""
    av = import_av()
    for packet in container.demux(stream):
        with contextlib.suppress(av.error.InvalidDataError):
            for frame in packet.decode():
                if frame.time is not None:
                    yield frame


def _check_end(container, stream, found: bool, time: float, span) -> None:
    """Refuses a clip that ends long before it should."""
    start, end = span
    av = import_av()
    stated = math.inf
    if stream.duration is not None:
        stated = float(stream.duration * stream.time_base)
    elif container.duration is not None:
        stated = container.duration / av.time_base
    until = min(end, stated)
    if not found or (until < math.inf and time + _MISSING_END < until):
        received = f"{stream.type} ends after {time:.2f} s of {stated:.2f} s"
        raise ValueError(
            _sentence(container.name, f"{received}, wanted from {start:g} s on")
        )


def _upright(frame) -> np.ndarray:
    pixels = frame.to_ndarray(format="rgb24")
    return np.ascontiguousarray(np.rot90(pixels, round(frame.rotation / 90)))


def _sentence(video: Path | str, received: str) -> str:
    return (
        f"Expected a whole video with picture and sound at {video}; download it "
        f"again. Received: {received}"
    )
