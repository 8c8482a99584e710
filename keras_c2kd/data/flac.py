"""Whether a FLAC file is whole: tensorflow-io never returns from a damaged one."""

from __future__ import annotations

import functools
import re

import numpy as np

_MOST_SAMPLES = 1 << 28  # of all channels; what the decoder allocates
_SYNC = re.compile(rb"\xff[\xf8\xf9]", re.DOTALL)


def check_flac(content: bytes) -> int:
    """Checks lengths and checksums without decoding.

    Args:
        content: of the whole file, without a tag before it.

    Returns:
        Its rate in Hz.

    Raises:
        ValueError: damaged, cut off, of unknown length, or not of 16 bits.
    """
    if len(content) < 42 or content[:5] not in (b"fLaC\0", b"fLaC\x80"):
        raise ValueError("FLAC without its first block")
    block = int.from_bytes(content[8:10], "big")
    fields = int.from_bytes(content[18:26], "big")  # of 20, 3, 5 and 36 bits
    rate, total = fields >> 44, fields & (1 << 36) - 1
    channels, bits = (fields >> 41 & 7) + 1, (fields >> 36 & 31) + 1
    if bits != 16:
        raise ValueError(f"FLAC of {bits} bits instead of 16")
    if not 0 < total * channels <= _MOST_SAMPLES:
        raise ValueError(f"FLAC that claims {total} samples in {channels} channels")
    if rate == 0:
        raise ValueError("FLAC with a rate of 0 Hz")
    frames = content[_frames_start(content) :]
    # Each frame ends in a checksum, after which that of all before it is 0.
    if not frames or crc16(frames):
        raise ValueError("FLAC with a wrong checksum")
    found = _last_sample(frames, block)
    if found != total:
        raise ValueError(f"FLAC that claims {total} samples, but ends at {found}")
    return rate


def _frames_start(content: bytes) -> int:
    position, last = 4, False
    while not last:
        if position + 4 > len(content):
            raise ValueError("FLAC without samples")
        last = content[position] >= 128
        position += 4 + int.from_bytes(content[position + 1 : position + 4], "big")
    return position


def _last_sample(frames: bytes, block: int) -> int:
    """How many samples there are, by the number and the size of the last frame."""
    ends = [0]
    # A frame of 16 bits and 8 channels takes a megabyte at most.
    for match in _SYNC.finditer(frames, max(0, len(frames) - (1 << 21))):
        header = frames[match.start() : match.start() + 16]
        ends.append(_frame_end(header, block) or ends[-1])
    return ends[-1]


def _frame_end(header: bytes, block: int) -> int | None:
    """The last sample of a frame, if this is the header of one."""
    header += bytes(20 - len(header))
    number, length = header[4], 1  # coded as UTF-8 codes characters
    if number >= 0xC0:
        length = 8 - (number ^ 0xFF).bit_length()
        number &= (1 << max(7 - length, 0)) - 1
        for byte in header[5 : 4 + length]:
            number = number << 6 | byte & 0x3F
    at, code = 4 + length, header[2] >> 4
    if code in (6, 7):  # it is written out
        size = int.from_bytes(header[at : at + code - 5], "big") + 1
        at += code - 5
    else:
        size = 1 << code if code >= 8 else (0, 192, 576, 1152, 2304, 4608)[code]
    at += {12: 1, 13: 2, 14: 2}.get(header[2] & 15, 0)  # and so may the rate be
    if crc8(header[:at]) != header[at]:
        return None
    return number + size if header[1] & 1 else number * block + size


def crc8(content: bytes) -> int:
    """The checksum of a frame's header, polynomial 0x07."""
    value = 0
    for byte in content:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value


def crc16(content: bytes) -> int:
    """The checksum of a frame, polynomial 0x8005, in NumPy.

    Neighbours are joined until one is left: the checksum of two parts is that of the
    first, moved on by the length of the second, XOR that of the second.
    """
    moved = _moved_by_a_byte()
    values = moved[np.frombuffer(content, np.uint8).astype(np.uint16) << 8]
    while len(values) > 1:
        if len(values) % 2:  # zeros in front change nothing
            values = np.concatenate([np.zeros(1, np.uint16), values])
        values = moved[values[0::2]] ^ values[1::2]
        moved = moved[moved]
    return int(values[0])


@functools.cache
def _moved_by_a_byte() -> np.ndarray:
    values = np.arange(1 << 16, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 0x8000, values << 1 ^ 0x8005, values << 1) & 0xFFFF
    return values.astype(np.uint16)
