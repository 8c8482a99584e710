"""Frames of a MATLAB 7.3 file (HDF5), read so that damage ends in one sentence.

The HDF5 library can crash or loop on damaged metadata. So another process looks through
all of it once, when the dataset is indexed; after that frames are unpacked here, chunk
by chunk, with every size known before anything is made. Run as a script, this file is
that other process; it imports little, to start quickly.
"""

from __future__ import annotations

import functools
import itertools
import json
import math
import os
import subprocess
import sys
import zlib

import h5py
import numpy as np

_LARGEST_CHUNK = 1 << 26  # bytes; MATLAB's chunks are far smaller
_LARGEST_FRAME = 1 << 28
_open_files: dict = {}  # one at a time
_DEFLATE = h5py.h5z.FILTER_DEFLATE
_SECONDS, _MEMORY = 300, 1 << 31  # of the other process


def check_frames(path: str, names: tuple[str, ...]) -> dict[str, dict]:
    """Looks through the metadata of a file's datasets, in a process of its own.

    Args:
        path: the HDF5 file.
        names: datasets at its root, first axis = frames.

    Returns:
        Name to `{"shape": [...], "dtype": "<u2"}`.

    Raises:
        ValueError: a file that is no HDF5, damaged, or lacks a dataset; datasets that
            lie in other files, or are stored in a way MATLAB does not use. The message
            says what was there and does not name the file.
    """
    # -P: this folder is no place to import modules from.
    command = [sys.executable, "-P", __file__, path, *names]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ValueError("an HDF5 file whose structure never ends") from error
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise ValueError(
            "an HDF5 file that is damaged; the library stops with "
            f"exit status {done.returncode}"
        ) from error
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer


def read_frame(path: str, name: str, index: int) -> np.ndarray:
    """One frame of a dataset that `check_frames` has looked through.

    Args:
        path: the HDF5 file; it stays open.
        name: the dataset.
        index: which frame.

    Returns:
        An array of the dataset's shape without the first axis.

    Raises:
        ValueError: a chunk that is not there or damaged.
    """
    file, version = _open(path)
    dataset = file[name]
    if dataset.chunks is None:
        return dataset[index]
    count = dataset.chunks[0]
    first = index - index % count
    size = count * math.prod(dataset.shape[1:]) * dataset.dtype.itemsize
    if count == 1 or size > _LARGEST_FRAME:
        return _frames(dataset, first, slice(index - first, index - first + 1))[0]
    return _kept_frames(path, version, name, first)[index - first]


def _open(path):
    """The open file, and what changes when it does."""
    status = os.stat(path)
    version = status.st_ino, status.st_mtime_ns, status.st_size
    if _open_files.get(path, (None, None))[1] != version:
        # HDF5 would go on with what it knows of a file, were it still open.
        for file, _ in _open_files.values():
            file.close()
        _open_files.clear()
        _open_files[path] = h5py.File(path, "r", locking=False), version
    return _open_files[path]


@functools.lru_cache(maxsize=4)  # what is unpacked at once is asked for one by one
def _kept_frames(path, version, name, first):
    frames = _frames(_open(path)[0][name], first, slice(None))
    frames.flags.writeable = False
    return frames


def _frames(dataset, first, which):
    """Some of the frames that share their chunks, the first of them being `first`."""
    shape, chunks = dataset.shape, dataset.chunks
    frames = np.empty((len(range(chunks[0])[which]), *shape[1:]), dataset.dtype)
    starts = (range(0, n, c) for n, c in zip(shape[1:], chunks[1:], strict=True))
    for start in itertools.product(*starts):
        block = _chunk(dataset, (first, *start))[which]
        places = zip(start, chunks[1:], strict=True)
        room = frames[(slice(None), *(slice(a, a + n) for a, n in places))]
        room[...] = block[tuple(slice(n) for n in room.shape)]
    return frames


def _chunk(dataset, start):
    """One chunk; what HDF5 would fill with zeros, when it is missing, is an error."""
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    try:
        skipped, stored = dataset.id.read_direct_chunk(start)
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"Received: {dataset.name} without the data at {start}"
        ) from error
    if dataset.id.get_create_plist().get_nfilters() and not skipped & 1:
        unpacker = zlib.decompressobj()
        try:
            stored = unpacker.decompress(stored, size + 1)
        except zlib.error as error:
            raise ValueError(
                f"Received: {dataset.name} with damaged data at {start} ({error})"
            ) from error
        if not unpacker.eof:
            stored = b""
    if len(stored) != size:
        raise ValueError(f"Received: {dataset.name} with too little data at {start}")
    return np.frombuffer(stored, dataset.dtype).reshape(dataset.chunks)


# === The other process ===


def _inspect(path, names):
    try:
        # A file that is being written to is not locked against reading it.
        with h5py.File(path, "r", locking=False) as file:
            return {name: _inspect_dataset(file, name, path) for name in names}
    except _Unfit as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"}


class _Unfit(Exception):
    pass


def _inspect_dataset(file, name, path):
    if not isinstance(file.get(name, getlink=True), h5py.HardLink):
        raise _Unfit(f"no dataset {name} in the file itself")
    dataset = file[name]
    if not isinstance(dataset, h5py.Dataset):
        raise _Unfit(f"{name}, which is no dataset")
    shape, dtype = dataset.shape, dataset.dtype
    if dtype.kind not in "uif" or not shape:
        raise _Unfit(f"{name} of shape {shape} and type {dtype}")
    if math.prod(shape[1:]) * dtype.itemsize > _LARGEST_FRAME:
        raise _Unfit(f"{name} of shape {shape}, too large a frame")
    if dataset.is_virtual or dataset.external:
        raise _Unfit(f"{name}, whose data lie in other files")
    if dataset.chunks is None:
        _check_contiguous(dataset, path)
    else:
        _check_chunks(dataset, path)
    return {"shape": shape, "dtype": dtype.str}


def _check_contiguous(dataset, path):
    size = math.prod(dataset.shape) * dataset.dtype.itemsize
    offset = dataset.id.get_offset()
    if offset is None or offset + size > os.path.getsize(path):
        raise _Unfit(f"{dataset.name} of shape {dataset.shape}, cut short")


def _check_chunks(dataset, path):
    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    if filters not in ([], [_DEFLATE]):
        raise _Unfit(f"{dataset.name}, packed with filters {filters} instead of gzip")
    shape, chunks = dataset.shape, dataset.chunks
    nominal = math.prod(chunks) * dataset.dtype.itemsize
    if nominal > _LARGEST_CHUNK:
        raise _Unfit(f"{dataset.name} with chunks of {nominal} bytes")
    end, seen, places = os.path.getsize(path), set(), []

    def look(chunk):
        if chunk.byte_offset + chunk.size > end or chunk.size > 2 * nominal + 4096:
            raise _Unfit(f"{dataset.name}, cut short or damaged")
        seen.add(chunk.chunk_offset)
        places.append((chunk.byte_offset, chunk.byte_offset + chunk.size))

    dataset.id.chunk_iter(look)
    expected = math.prod(-(-n // c) for n, c in zip(shape, chunks, strict=True))
    if len(seen) != expected:
        raise _Unfit(f"{dataset.name} with {len(seen)} of {expected} chunks")
    places.sort()
    if any(a[1] > b[0] for a, b in itertools.pairwise(places)):
        raise _Unfit(f"{dataset.name}, in which chunks lie upon each other")


def _limit_memory():
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    except (ImportError, OSError, ValueError):  # not on this system
        pass


if __name__ == "__main__":
    _limit_memory()
    print(json.dumps(_inspect(sys.argv[1], sys.argv[2:])))
