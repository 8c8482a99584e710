"""MATLAB 5 files with lists: read byte by byte, so that damage cannot crash Python.

`scipy.io.loadmat` ends the interpreter on some damaged files, cell arrays above all;
here every size is compared with the bytes that are there before anything is made.
"""

from __future__ import annotations

import math
import os
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_LARGEST = 1 << 26  # bytes, of a file and of what it unpacks to; lists are far smaller
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4"}
_NUMBERS |= {9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_CELL, _CHAR, _COMPLEX = 1, 4, 0x08
_CLASSES = dict(enumerate("f8 f4 i1 u1 i2 u2 i4 u4 i8 u8".split(), start=6))
_NESTED = 3


def read_mat(path: str | Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads numbers, text and cell arrays of them, as MATLAB's `save` writes them.

    Args:
        path: a MAT-file of version 5 (`save -v6` or `-v7`), compressed or not.
        names: the variables to read; others are not looked into.

    Returns:
        Name to array, in MATLAB's shape: of numbers, of the class MATLAB gives them; of
        objects (strings and arrays) for a cell array; of `str`, without axes, for text.

    Raises:
        ValueError: a file that is something else, damaged, or lacks a variable. The
            message does not name the file: who calls knows what should have been there.
        OSError: a file that cannot be opened.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > _LARGEST:
            raise ValueError(f"more than {_LARGEST >> 20} MiB")
        content = file.read()
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None or struct.unpack(f"{order}H", content[124:126])[0] >> 8 != 1:
        raise ValueError("no header of a MATLAB 5 file")
    found, room, at = {}, _LARGEST, 128
    while at < len(content) and not set(names) <= set(found):
        kind, data, at = _element(content, at, order, padded=False)
        if kind == _COMPRESSED:
            data = _unpacked(data, room)
            room -= len(data)
            kind, data, _ = _element(data, 0, order)
        if kind == _MATRIX and (name := _header(data, order)[2]) in names:
            found[name] = _matrix(data, order)
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"no variable {', '.join(missing)}")
    return found


def _unpacked(data, room):
    unpacker = zlib.decompressobj()
    try:
        unpacked = unpacker.decompress(data, room)
    except zlib.error as error:
        raise ValueError(f"compressed data that is damaged ({error})") from error
    # Its checksum was compared only when the end was reached.
    if not unpacker.eof:
        raise ValueError("compressed data that ends early or is far too large")
    return unpacked


def _element(content, at, order, padded=True):
    """Type and bytes of the data element at a position, and the position after it."""
    if at + 8 > len(content):
        raise ValueError("data that ends early")
    kind, size = struct.unpack_from(f"{order}II", content, at)
    if kind >> 16:  # a small element: size and type share four bytes
        kind, size, start, end = kind & 0xFFFF, kind >> 16, at + 4, at + 8
        if size > 4:
            raise ValueError("a small data element of more than 4 bytes")
    else:
        start = at + 8
        end = start + size
        end += -size % 8 if padded or kind != _COMPRESSED else 0
    if start + size > len(content):
        raise ValueError("data that ends early")
    return kind, content[start : start + size], end


def _header(data, order):
    """Class, shape and name of a matrix, and where its values begin."""
    _, flags, at = _element(data, 0, order)
    _, shape, at = _element(data, at, order)
    _, name, at = _element(data, at, order)
    if len(flags) != 8 or len(shape) < 8 or len(shape) % 4:
        raise ValueError("a matrix without class or shape")
    (flags,) = struct.unpack(f"{order}I", flags[:4])
    shape = tuple(struct.unpack(f"{order}{len(shape) // 4}i", shape))
    if min(shape) < 0 or len(shape) > 8:
        raise ValueError(f"a matrix of shape {shape}")
    if flags >> 8 & _COMPLEX:
        raise ValueError("complex numbers")
    return flags & 0xFF, shape, name.decode("latin-1"), at


def _matrix(data, order, depth=0) -> Any:
    if not data:  # an empty cell may be written so
        return np.empty((0, 0))
    if depth > _NESTED:
        raise ValueError("cells nested too deep")
    kind, shape, _, at = _header(data, order)
    count = math.prod(shape)
    if kind == _CELL:
        if 8 * count > len(data) - at:
            raise ValueError(f"a cell array of shape {shape} in {len(data)} bytes")
        cells = np.empty(count, object)
        for number in range(count):
            inner, value, at = _element(data, at, order)
            if inner != _MATRIX:
                raise ValueError("a cell that holds no matrix")
            cells[number] = _matrix(value, order, depth + 1)
        return cells.reshape(shape, order="F")
    stored, values, _ = _element(data, at, order)
    if kind == _CHAR and stored in _TEXTS:
        encoding = _TEXTS[stored]
        if encoding == "utf-16":
            encoding += "-le" if order == "<" else "-be"
        text = values.decode(encoding)  # a UnicodeDecodeError is a ValueError
        if len(text) != count or (count and shape[0] != 1):
            raise ValueError(f"text of {len(text)} characters and shape {shape}")
        return np.array(text)
    if kind not in _CLASSES or stored not in _NUMBERS:
        raise ValueError(f"a matrix of class {kind} with values of type {stored}")
    numbers = np.dtype(order + _NUMBERS[stored])
    if len(values) != count * numbers.itemsize:
        raise ValueError(f"a matrix of shape {shape} with {len(values)} bytes")
    numbers = np.frombuffer(values, numbers).astype(_CLASSES[kind])
    return numbers.reshape(shape, order="F")
