"""Wav files: headers are read when a dataset is indexed, samples in the graph."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_GUID_END = bytes.fromhex("000000001000800000aa00389b71")
_MOST_CHUNKS = 1000
_MOST_BYTES = 2**31 - 1  # TensorFlow counts the bytes of a file in 32 bits
_STREAMED = 0xFFFFFFFF  # a length that was not known when the header was written
_RATES = range(1000, 1_000_001)
_KINDS = ((8, False), (16, False), (24, False), (32, False), (32, True), (64, True))
_EMPTY = {
    "path": "",
    "offset": 0,
    "frames": 0,
    "rate": 0,
    "channels": 0,
    "bits": 0,
    "float": False,
}


def index_wavs(
    paths: Sequence[str], broken: list[str] | None = None
) -> dict[str, np.ndarray]:
    """Reads the headers of wav files, so that the graph knows where samples lie.

    Args:
        paths: the files; `""` stands for one that is missing.
        broken: collects what is wrong with a file, which then counts as missing;
            `None` raises at the first one.

    Returns:
        Arrays, one entry per file: `path`; `offset`, bytes before the first sample;
        `frames`, samples per channel; `rate` in Hz; `channels`; `bits`; `float`.
        Zeros where a file is missing.

    Raises:
        ValueError: no complete wav file of 8, 16, 24 or 32-bit integers or floats.

    Example:

    ```python
    sources = {"audio": index_wavs(["0_george_0.wav", ""])}
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
    dtypes = {"path": str, "float": bool}
    return {
        name: np.array([header[name] for header in headers], dtypes.get(name, np.int64))
        for name in _EMPTY
    }


def read_header(path: str) -> dict[str, Any]:
    """Where the samples of one file lie and what they are; see `index_wavs`."""
    try:
        with open(path, "rb") as file:
            return {"path": path, **_walk(file, os.fstat(file.fileno()).st_size)}
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise ValueError(
            "Expected a wav file of 8, 16, 24 or 32-bit integers, or of floats, at "
            f"{path}; convert it, or leave such samples out. Received: {reason}"
        ) from error


def _walk(file, size: int) -> dict[str, Any]:
    """Goes from chunk to chunk; the samples themselves are not read."""
    _require(size <= _MOST_BYTES, f"{size} bytes, more than 2 GiB")
    start = file.read(12)
    _require(start[:4] == b"RIFF" and start[8:] == b"WAVE", f"{start!r} at its start")
    layout, position = None, 12
    for _ in range(_MOST_CHUNKS):
        file.seek(position)
        head = file.read(8)
        _require(len(head) == 8, "no samples in it")
        name, length = head[:4], int.from_bytes(head[4:], "little")
        position += 8
        if name == b"fmt ":
            layout = _layout(file.read(min(length, 40)))
        elif name == b"data":
            _require(layout is not None, "samples before their format")
            width = layout["channels"] * layout["bits"] // 8
            if length == _STREAMED:  # then they go on to the end
                length = (size - position) // width * width
            _require(length > 0, "no samples in it")
            _require(
                position + length <= size,
                f"a header that claims {length} bytes of samples in a file of {size}",
            )
            frames, rest = divmod(length, width)
            _require(rest == 0, f"{length} bytes of samples, {width} each")
            return {"offset": position, "frames": frames, **layout}
        position += length + length % 2  # chunks start at even bytes
    raise ValueError(f"more than {_MOST_CHUNKS} chunks")


def _layout(chunk: bytes) -> dict[str, Any]:
    _require(len(chunk) >= 16, f"a format of {len(chunk)} bytes")
    code, channels, rate, pace, width, bits = struct.unpack("<HHIIHH", chunk[:16])
    if code == _EXTENSIBLE and chunk[26:40] == _GUID_END:
        (code,) = struct.unpack("<H", chunk[24:26])
    is_float = code == _FLOAT
    _require(code in (_PCM, _FLOAT), f"format {code}, which is compressed")
    _require(
        (bits, is_float) in _KINDS, f"{bits} bits, {'float' if is_float else 'int'}"
    )
    _require(1 <= channels <= 64, f"{channels} channels")
    _require(width == channels * bits // 8, f"samples {width} bytes wide")
    _require(rate in _RATES, f"a rate of {rate} Hz")
    _require(pace == rate * width, f"a rate of {rate} Hz, but {pace} bytes a second")
    return {"rate": rate, "channels": channels, "bits": bits, "float": is_float}


def _require(condition: bool, received: str) -> None:
    if not condition:
        raise ValueError(received)


def decode_wav(source: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Reads the samples of one file in the graph, channels mixed to one.

    Args:
        source: one entry of `index_wavs`, scalars; `start` and `stop`, seconds, when
            only a part is meant.

    Returns:
        float32 `(frames,)`; integers become [-1, 1).

    Raises:
        tf.errors.InvalidArgumentError: the file is shorter than its header said when
            it was indexed.
    """
    channels, bits = tf.cast(source["channels"], tf.int64), source["bits"]
    width = channels * tf.cast(bits, tf.int64) // 8
    frames = tf.cast(source["frames"], tf.int64)
    first, last = tf.zeros((), tf.int64), frames
    if "start" in source:
        rate = tf.cast(source["rate"], tf.float64)
        first, last = (
            tf.clip_by_value(
                tf.cast(tf.round(tf.cast(source[k], tf.float64) * rate), tf.int64),
                0,
                frames,
            )
            for k in ("start", "stop")
        )
    contents = tf.io.read_file(source["path"])
    offset = tf.cast(source["offset"], tf.int64) + first * width
    length = tf.maximum(last - first, 0) * width
    whole = tf.cast(tf.strings.length(contents), tf.int64) >= offset + length
    check = tf.debugging.Assert(whole, ["the file is shorter than it was", offset])
    with tf.control_dependencies([check] if check is not None else []):
        samples = tf.strings.substr(contents, offset, length)
    values = tf.switch_case(
        _kind(tf.cast(bits, tf.int64), source["float"]),
        [lambda k=kind: _to_float(samples, *k) for kind in _KINDS],
    )
    # Channels lie side by side in every frame.
    return tf.reduce_mean(tf.reshape(values, tf.stack([-1, channels])), axis=1)


def _kind(bits, is_float):
    table = [tf.cast(bits == b, tf.int32) for b, _ in _KINDS]
    floats = [tf.cast(tf.equal(is_float, f), tf.int32) for _, f in _KINDS]
    return tf.argmax(tf.stack(table) * tf.stack(floats), output_type=tf.int32)


def _to_float(samples: tf.Tensor, bits: int, is_float: bool) -> tf.Tensor:
    if is_float:
        dtype = tf.float32 if bits == 32 else tf.float64
        return tf.cast(tf.io.decode_raw(samples, dtype), tf.float32)
    if bits == 8:  # the one width that is unsigned
        return tf.cast(tf.io.decode_raw(samples, tf.uint8), tf.float32) / 128.0 - 1.0
    if bits == 24:
        parts = tf.reshape(tf.io.decode_raw(samples, tf.uint8), (-1, 3))
        low, middle, high = tf.unstack(tf.cast(parts, tf.int32), axis=1)
        high = tf.where(high >= 128, high - 256, high)
        return tf.cast((high * 256 + middle) * 256 + low, tf.float32) / 2.0**23
    dtype = tf.int16 if bits == 16 else tf.int32
    return tf.cast(tf.io.decode_raw(samples, dtype), tf.float32) / 2.0 ** (bits - 1)
