"""What a dataset is, in one digest: its samples, their labels, what files hold."""

import hashlib
import os
from collections.abc import Mapping

import numpy as np

# Sizes are read of all files, content of so many in each part: few are slow to read,
# and whoever makes files anew makes all of them.
FILES, BYTES = 256, 1 << 16


def fingerprint(parts, modalities) -> str:
    """The same wherever the files lie and however decoded samples are kept.

    Args:
        parts: name to `keras_c2kd.data.Decoded`.
        modalities: name to `Modality`.
    """
    digest = hashlib.sha256()
    for name, part in parts.items():
        digest.update(repr((name, part.class_names, part.ids)).encode())
        digest.update(part.labels.tobytes())
        for modality in sorted(modalities):
            digest.update(modality.encode())
            are_paths = modalities[modality].kind != "tokens"
            for found in contents(part.samples.sources[modality], are_paths):
                digest.update(found)
    return digest.hexdigest()


def contents(source, are_paths):
    """Bytes that tell what a modality's sources hold.

    Args:
        source: of `Samples.sources`.
        are_paths: whether its text names files, or is itself what is learned from.
    """
    if isinstance(source, Mapping):
        for name in sorted(source):
            yield name.encode()
            yield from contents(source[name], name == "path")
        return
    array = np.asarray(source)
    if array.dtype.kind not in "USO":
        yield np.ascontiguousarray(array).tobytes()
    elif are_paths:
        yield from of_files(dict.fromkeys(map(str, array.ravel().tolist())))
    else:
        yield "\0".join(map(str, array.ravel())).encode("utf-8", "surrogatepass")


def of_files(paths):
    """The sizes of all files, and the beginnings of some, evenly spaced."""
    paths = [path for path in paths if path]  # a sample may lack a modality
    yield repr([os.path.getsize(path) for path in paths]).encode()
    for path in paths[:: -(-len(paths) // FILES) or 1]:
        with open(path, "rb") as file:
            yield file.read(BYTES)
