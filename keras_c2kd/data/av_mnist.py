"""AV-MNIST: handwritten digits and spoken ones, paired by class."""

from __future__ import annotations

import dataclasses
import math
import re
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow as tf

from keras_c2kd.data.geometry import crop
from keras_c2kd.data.modality import Draws, Modality
from keras_c2kd.data.paths import inside
from keras_c2kd.data.samples import Samples, check_found
from keras_c2kd.data.wav import index_wavs

_RECORDING = re.compile(r"([0-9])_([A-Za-z0-9]+)_([0-9]+)\.wav")
_ADVICE = "Put the files themselves there, or link the dataset as a whole."
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_MOST_BYTES = 1 << 30
_TEST, _VALIDATION = range(5), range(5, 10)  # numbers of recordings
_VALIDATION_IMAGES = 6  # every sixth image of train


@dataclasses.dataclass(frozen=True)
class Digits(Modality):
    """Greyscale images that a reader already holds as arrays.

    Attributes:
        size: side of what a model sees, in pixels; they are held as 28 x 28.

    Example:

    >>> Digits().input_shape
    (28, 28, 1)
    """

    size: int = 28
    expected: ClassVar[str] = "MNIST's images"

    @property
    def spec(self):
        return tf.TensorSpec((28, 28, 1), tf.uint8)

    @property
    def input_shape(self):
        return (self.size, self.size, 1)

    def decode(self, source):
        """uint8 `(28, 28, 1)`: the source holds it."""
        return source["image"]

    def prepare(self, packed, draws: Draws | None = None):
        """float32 `(B, size, size, 1)`, 0..255."""
        boxes = None if draws is None else draws.boxes
        return crop(packed, boxes, (self.size, self.size), "bilinear")


def read_av_mnist(
    data_dir: str | Path,
    seed: int = 0,
    keep_incomplete: bool = False,
    min_found: float = 0.0,
) -> dict[str, Samples]:
    """Pairs MNIST images with spoken digits of the same class.

    Nothing pairs them but the class, so the pairs are drawn: every image is in one
    pair, and the recordings of its class are dealt out in turn, shuffled. Recordings
    0 to 4 of a speaker are for test, as in the Free Spoken Digit Dataset; 5 to 9, with
    every sixth training image, for validation. No image and no recording is in two
    parts.

    Args:
        data_dir: the folder with `mnist.npz`, as `keras.datasets.mnist` keeps it, and
            `recordings/<digit>_<speaker>_<index>.wav`.
        seed: the same seed draws the same pairs.
        keep_incomplete: nothing can be missing here; taken like every reader's.
        min_found: the same.

    Returns:
        `{"train", "validation", "test"}` to `Samples`, modalities `"image"` (of
        `Digits`) and `"audio"` (of `Spectrogram`).

    Raises:
        ValueError: no such files, arrays of other shapes, recordings with other names
            or broken ones, a digit that a part shows and nobody speaks.

    Example:

    ```python
    splits = read_av_mnist("data/av_mnist")
    len(splits["train"]), splits["train"].class_names
    ```
    """
    root = Path(data_dir)
    archive, folder = root / "mnist.npz", root / "recordings"
    if not archive.is_file() or not folder.is_dir():
        raise ValueError(
            "`data_dir` must hold AV-MNIST: looked for the file "
            f"{archive} and the folder {folder}. Received: data_dir={str(data_dir)!r}"
        )
    for path in (archive, folder):
        inside(root.resolve(), path, _ADVICE)
    arrays = read_mnist(archive)
    held_out = np.arange(len(arrays["y_train"])) % _VALIDATION_IMAGES == 0
    images = {
        "train": (arrays["x_train"][~held_out], arrays["y_train"][~held_out]),
        "validation": (arrays["x_train"][held_out], arrays["y_train"][held_out]),
        "test": (arrays["x_test"], arrays["y_test"]),
    }
    recordings = find_recordings(folder.resolve())
    return {
        part: _pair(part, *images[part], recordings[part], archive, seed)
        for part in images
    }


def read_mnist(archive: Path) -> dict[str, np.ndarray]:
    """The four arrays of `mnist.npz`, nothing unpickled, sizes checked first."""
    try:
        with zipfile.ZipFile(archive) as members:
            _check_sizes(members)
        with np.load(archive, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
        for part in ("train", "test"):
            _check_arrays(part, arrays[f"x_{part}"], arrays[f"y_{part}"])
    # NumPy and zipfile meet damaged bytes with errors of many kinds.
    except Exception as error:
        raise ValueError(
            "Expected images uint8 (N, 28, 28) and labels 0 to 9 under "
            f"{', '.join(_ARRAYS)} in {archive}; fetch it again. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    return arrays


def _check_sizes(members: zipfile.ZipFile) -> None:
    """NumPy allocates what a header claims before it reads."""
    size = sum(member.file_size for member in members.infolist())
    if size > _MOST_BYTES:
        raise ValueError(f"{size} bytes of arrays")
    headers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    for name in _ARRAYS:
        member = members.getinfo(f"{name}.npy")
        with members.open(member) as file:
            shape, _, dtype = headers[np.lib.format.read_magic(file)](file)
            there = member.file_size - file.tell()
        if math.prod(shape) * dtype.itemsize != there:
            raise ValueError(f"{name} {dtype} {shape} in {there} bytes")


def _check_arrays(part, images, labels):
    whole = images.dtype == np.uint8 and images.shape[1:] == (28, 28)
    fits = labels.shape == images.shape[:1] and labels.dtype.kind in "iu"
    if not (whole and fits and len(labels) and labels.min() >= 0 and labels.max() <= 9):
        raise ValueError(
            f"x_{part} {images.dtype} {images.shape}, "
            f"y_{part} {labels.dtype} {labels.shape}"
        )


def find_recordings(folder: Path) -> dict[str, list[tuple[int, Path]]]:
    """`(digit, file)` of each part, in an order that depends on names alone."""
    parts = {"train": [], "validation": [], "test": []}
    for path in sorted(folder.glob("*.wav")):
        match = _RECORDING.fullmatch(path.name)
        if match is None:
            raise ValueError(
                "Expected recordings called <digit>_<speaker>_<index>.wav in "
                f"{folder}; move the others away. Received: {path.name!r}"
            )
        number = int(match[3])
        part = "test" if number in _TEST else "train"
        part = "validation" if number in _VALIDATION else part
        parts[part].append((int(match[1]), inside(folder, path)))
    return parts


def _pair(part, images, labels, recordings, archive, seed):
    """One pair for every image; the recordings of a class in turn, shuffled."""
    rng = np.random.default_rng([seed, len(part)])
    by_digit = {d: [p for digit, p in recordings if digit == d] for d in set(labels)}
    chosen = np.empty(len(labels), object)
    for digit, files in sorted(by_digit.items()):
        members = np.flatnonzero(labels == digit)
        check_found(len(files), 1, 1.0, f"{part} recordings of {digit}", archive.parent)
        rounds = -(-len(members) // len(files))
        turns = np.concatenate([rng.permutation(len(files)) for _ in range(rounds)])
        chosen[members] = [str(files[i]) for i in turns[: len(members)]]
    unique, back = np.unique(chosen.astype(str), return_inverse=True)
    audio = {name: array[back] for name, array in index_wavs(unique).items()}
    return Samples(
        ids=tuple(f"{part}/{i}" for i in range(len(labels))),
        sources={
            "image": {
                "path": np.full(len(labels), str(archive)),
                "image": images[..., None],
            },
            "audio": audio,
        },
        labels=labels.astype(np.int32),
        class_names=tuple(map(str, range(10))),
        notes=(
            f"{part}: {len(labels)} images paired with {len(recordings)} recordings",
        ),
    )
