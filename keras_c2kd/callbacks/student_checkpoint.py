"""StudentCheckpoint: keeps the best student of a run, ready to ship."""

import os
from pathlib import Path
from typing import Any

import keras

from keras_c2kd.callbacks.aside import written_aside
from keras_c2kd.distribution import loadable_anywhere

_FULL = (
    "Expected the student to be saved; make room on the disk and go on from the last "
    "checkpoint: the student before is unharmed."
)


class StudentCheckpoint(keras.callbacks.Callback):
    """Saves the student, and nothing else, whenever a validation metric improves.

    What is deployed is the student alone; the file loads with Keras alone. It is
    written aside and then renamed, so the last good student is there at every moment.
    A metric that is NaN is no improvement.

    Args:
        filepath: Where the best student is kept; ends in `.keras`.
        monitor: Name in the logs; validation, never test.
        mode: `"max"` or `"min"`.
        verbose: 1 prints a line at each improvement.

    `best` is the best value so far, `best_epoch` its epoch (from 0).

    Raises:
        ValueError: a path without `.keras`, an unknown mode, or a metric that is not in
            the logs (those that are there are listed).
        OSError: the student cannot be saved; the one before is unharmed.

    Example:

    >>> from keras_c2kd.callbacks import StudentCheckpoint
    >>> callback = StudentCheckpoint("student.keras", monitor="val_accuracy")
    """

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_accuracy",
        mode: str = "max",
        verbose: int = 0,
    ):
        super().__init__()
        self.filepath = Path(filepath)
        if self.filepath.suffix != ".keras":
            raise ValueError(
                "Expected `filepath` to end in .keras, the format that keeps the whole "
                f"model. Received: filepath={str(filepath)!r}"
            )
        if mode not in ("max", "min"):
            raise ValueError(
                f'Expected `mode` to be "max" or "min". Received: mode={mode!r}'
            )
        self.monitor, self.mode, self.verbose = monitor, mode, verbose
        self.best: float | None = None
        self.best_epoch: int | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        if self.monitor not in logs:
            raise ValueError(
                f"Expected `monitor` to be one of {', '.join(sorted(logs))} (the val_ "
                "ones need validation_data). "
                f"Received: monitor={self.monitor!r}"
            )
        value = float(logs[self.monitor])
        if not self._improves(value):
            return
        # A model that trains alone is the student itself.
        save_aside(getattr(self.model, "student", self.model), self.filepath)
        self.best, self.best_epoch = value, epoch
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {self.monitor} {value:.4f}, student saved")

    def get_state(self) -> dict[str, Any]:
        """For a `TrainingCheckpoint`."""
        return {"best": self.best, "best_epoch": self.best_epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """What `get_state` gave in a run that was stopped."""
        self.best, self.best_epoch = state["best"], state["best_epoch"]

    def _improves(self, value):
        if self.best is None:
            return value == value
        return value > self.best if self.mode == "max" else value < self.best


def save_aside(model: keras.Model, filepath: Path) -> None:
    """Save to a neighbouring file, then rename: the old file or the new, never half."""
    filepath.parent.mkdir(parents=True, exist_ok=True)
    aside = filepath.with_name(f".{filepath.stem}.writing.keras")
    with written_aside(filepath, aside, _FULL), loadable_anywhere(model):
        model.save(aside)
