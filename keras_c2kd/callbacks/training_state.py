"""TrainingState: the numbers of a model in training, and one file for them."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2kd.callbacks.aside import written_aside

_FULL = (
    "Expected a checkpoint to be written; make room on the disk: the one before is "
    "unharmed, and the same command goes on from it."
)


@dataclasses.dataclass
class TrainingState:
    """What changes while a model trains.

    Variables are known by their place, not by their name: names count how many layers
    a process has made before.

    Attributes:
        arrays: `"model/0"`, ..., `"optimizer/0"`, ..., `"metrics/0"`, ...
        note: what JSON can hold, kept beside them.
    """

    arrays: dict[str, np.ndarray]
    note: dict[str, Any]

    @classmethod
    def of(cls, model: keras.Model, note: dict[str, Any]) -> "TrainingState":
        arrays = {
            f"{group}/{i}": ops.convert_to_numpy(variable)
            for group, variables in _variables(model).items()
            for i, variable in enumerate(variables)
        }
        return cls(arrays, note)

    def spoiled(self, model: keras.Model) -> list[str]:
        """Names of the variables of the model that are no numbers.

        Args:
            model: the one that this is the state `of`.
        """
        spoiled = [
            variable.path
            for i, variable in enumerate(_variables(model)["model"])
            if not _is_finite(self.arrays[f"model/{i}"])
        ]
        return list(dict.fromkeys(spoiled))  # two models may have the same names

    def put_into(self, model: keras.Model) -> None:
        """Weights, seed generators, and the optimizer's variables."""
        model.optimizer.build(model.trainable_variables)
        variables = _variables(model)
        for group in ("model", "optimizer"):
            self._assign(group, variables[group])

    def put_metrics_into(self, model: keras.Model) -> None:
        """Sums and counts in the middle of an epoch."""
        self._assign("metrics", _variables(model)["metrics"])

    def _assign(self, group, variables):
        ours = [a for name, a in self.arrays.items() if name.startswith(f"{group}/")]
        shapes = [a.shape for a in ours]
        expected = [tuple(variable.shape) for variable in variables]
        if shapes != expected:
            unlike = next((s for s in shapes if s not in expected), None)
            shape = f", one of shape {unlike}" if unlike is not None else ""
            raise ValueError(
                "Expected the checkpoint of a model that was made and compiled as this "
                f"one, with {len(expected)} variables of the {group}. Received: "
                f"{len(shapes)} variables{shape}"
            )
        for variable, array in zip(variables, ours, strict=True):
            variable.assign(array)

    def write(self, file: Path) -> None:
        """Aside, read back, then renamed.

        Raises:
            OSError: the disk is full, or does not give back what was written.
        """
        dtypes = {name: a.dtype.name for name, a in self.arrays.items()}
        note = json.dumps({"note": self.note, "dtypes": dtypes}).encode()
        arrays = {name: _as_bits(a) for name, a in self.arrays.items()}
        aside = file.with_name(f".{file.name}.writing")
        with written_aside(file, aside, _FULL):
            with open(aside, "wb") as opened:
                np.savez(opened, **arrays, note=np.frombuffer(note, "uint8"))
            _read_back(aside)

    @classmethod
    def read(cls, file: Path) -> "TrainingState":
        """Every byte is checked by the checksums of the archive.

        Raises:
            ValueError: the file is damaged.
        """
        try:
            with zipfile.ZipFile(file) as archive:
                stored = sum(member.file_size for member in archive.infolist())
                if stored > file.stat().st_size:  # a bomb: ours are not compressed
                    raise ValueError(f"{stored} bytes claimed in a smaller file")
                if (damaged := archive.testzip()) is not None:
                    raise ValueError(f"wrong checksum of {damaged}")
            with np.load(file, allow_pickle=False) as content:
                arrays = {name: content[name] for name in content.files}
            note = json.loads(arrays.pop("note").tobytes())
            arrays = {k: arrays[k].view(np.dtype(d)) for k, d in note["dtypes"].items()}
        except OSError:
            raise
        except Exception as error:  # whatever zlib, zipfile, numpy and json may raise
            raise ValueError(f"{type(error).__name__}: {error}") from error
        return cls(arrays, note["note"])


def _read_back(file):
    try:
        TrainingState.read(file)
    except ValueError as error:  # written, as the disk said
        raise OSError(f"it was not what was written, {error}") from error


def _variables(model):
    return {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }


def _as_bits(array):
    """NumPy's files do not know bfloat16 and its like."""
    return array.view(f"uint{8 * array.itemsize}") if array.dtype.kind == "V" else array


def _is_finite(array):
    if array.dtype.kind in "iub":
        return True
    # bfloat16 and its like.
    array = array.astype("float32") if array.dtype.kind == "V" else array
    return bool(np.isfinite(array).all())
