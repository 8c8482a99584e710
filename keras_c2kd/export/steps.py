"""The formats, step by step: write aside, run, compare, put in place."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from keras_c2kd.export import process
from keras_c2kd.export.formats import FORMATS
from keras_c2kd.export.int8 import quantize
from keras_c2kd.export.scores import agreement, largest_difference

LEAST_AGREEMENT = 0.9  # of a file of int8 with the student
SECONDS = 1.0  # for which the latency is measured
KEPT = 1e-6  # of the largest logit: what float32 keeps through a network


def convert(
    formats: Sequence[str], aside: Path, int8: bool, modules: Sequence[str]
) -> dict[str, RuntimeError]:
    """The files of formats but Keras's, beside where they will be; or why not.

    TensorFlow takes longer to start than to convert: one process makes all of them.
    Where it fails, those that it did not make get a process each.
    """
    targets = {
        name: aside / FORMATS[name].name(int8) for name in formats if name != "keras"
    }
    if not targets:
        return {}
    pairs = [f"{name}={target}" for name, target in targets.items()]
    how = "int8" if int8 else "float32"
    try:
        source = aside / "model.keras"
        process.run_script("_convert.py", source, how, *pairs, modules=modules)
        return {}
    except RuntimeError as error:
        if len(targets) == 1:
            return dict.fromkeys(targets, error)
    left = [name for name, target in targets.items() if not target.exists()]
    failed = [convert([name], aside, int8, modules) for name in left]
    return {name: error for each in failed for name, error in each.items()}


def written_file(
    name: str, aside: Path, int8: bool, not_converted: Mapping[str, RuntimeError]
) -> Path:
    """The file of a format, beside where it will be; Keras's is made now."""
    if name in not_converted:
        raise not_converted[name]
    target = aside / FORMATS[name].name(int8)
    if name == "keras":
        _write_keras(aside / "model.keras", target, int8)
    return target


def _write_keras(source, target, int8):
    if not int8:
        shutil.copyfile(source, target)
        return
    copy = keras.models.load_model(source, compile=False)
    quantize(copy)
    copy.save(target)
    _check_it_loads(target)


def _check_it_loads(path):
    try:
        keras.models.load_model(path, compile=False)
    except ValueError as error:
        raise ValueError(
            'Expected int8 in the formats "savedmodel" or "litert" for a student with '
            "layers within layers, as keras-hub's TransformerEncoder: Keras cannot "
            f"load their int8 weights. Received: {str(error).splitlines()[0]}"
        ) from None


def run(name: str, written: Path, aside: Path, modules: Sequence[str]) -> dict:
    """What its own runtime computes from it."""
    found = aside / "found.npz"
    paths = written, aside / "samples.npz", found
    process.run_script("_check.py", name, *paths, SECONDS, modules=modules)
    with np.load(found) as file:
        return dict(file)


def compare(found: dict, expected: np.ndarray, int8: bool, tolerance: float) -> dict:
    """Difference and agreement, once they are small and large enough."""
    logits = found["logits"]
    difference = max(
        largest_difference(logits, expected),
        largest_difference(found["alone"], expected[:1]),
    )
    tolerance = max(tolerance, KEPT * float(np.abs(expected).max()))
    if not np.isfinite(difference) or not (int8 or difference <= tolerance):
        raise ValueError(
            f"Expected logits within {tolerance:.2g} of the student's. Received: a "
            f"difference of {difference:.2g} when its runtime ran it (the largest "
            f"logit is {np.abs(expected).max():.2g})"
        )
    same = agreement(logits, expected)
    if int8 and same < LEAST_AGREEMENT:
        raise ValueError(
            f"Expected int8 to keep the highest logit of {LEAST_AGREEMENT:.0%} of the "
            f"samples. Received: {same:.1%}"
        )
    return {"max_difference": difference, "agreement": same}


def put_in_place(written: Path, path: Path, aside: Path) -> Path:
    """Rename: the old one or the new, never half."""
    if path.is_dir() or path.exists() and written.is_dir():
        # A folder cannot be replaced in one go.
        os.replace(path, aside / f"{path.name}.before")
    os.replace(written, path)
    return path


def size_of(path: Path) -> int:
    """Bytes of a file, or of all in a folder."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())
