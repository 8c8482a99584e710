"""TrainingCheckpoint: a run that was stopped goes on as if it had not been."""

import os
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_c2kd.backend import devices
from keras_c2kd.callbacks.training_state import TrainingState

KEPT = 2  # the newest, and the one before in case it is damaged


class Position(NamedTuple):
    """How far a training has come.

    Attributes:
        epoch: the one to go on with, from 0.
        step: steps of it that are done.
    """

    epoch: int = 0
    step: int = 0


class TrainingCheckpoint(keras.callbacks.Callback):
    """Keeps all that a training needs to go on, at the end of epochs and within them.

    Weights, optimizer with its schedule, BatchNorm, seed generators, metrics, and the
    state of other callbacks: with the same batches, the run ends with the same weights
    as one that was never stopped, to the bit where the backend is repeatable. A
    checkpoint is written aside, read back, and only then renamed; the one before stays.
    If the newest is damaged, it is deleted and the one before used, with a warning.
    Weights that are no numbers are not kept, with a warning: those before are worth
    more. Several processes (`keras_c2kd.distribution`) keep theirs each in a folder of
    its own, at the end of epochs, and go on with the newest that all of them have.

    Args:
        folder: For this training alone. At most two checkpoints are kept in it.
        minutes: Saves within an epoch when so many have gone by since the last save;
            `None`: at the end of epochs only.
        epochs: Saves at the end of every so many.
        with_state: Objects with `get_state()`, something that JSON can hold, and
            `set_state(state)`: a `StudentCheckpoint` knows its best value so far.

    Put it last in the list of callbacks, so that it keeps what the others did.

    Raises:
        ValueError: not a positive number, or checkpoints of another model.
        OSError: a checkpoint cannot be written; those before are unharmed.

    Example:

    >>> import keras, numpy as np, tempfile
    >>> from keras_c2kd.callbacks import TrainingCheckpoint
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> model.compile("sgd", "mse")
    >>> checkpoint = TrainingCheckpoint(tempfile.mkdtemp())
    >>> start = checkpoint.restore(model)
    >>> history = model.fit(
    ...     np.ones((8, 4)),
    ...     np.ones((8, 2)),
    ...     initial_epoch=start.epoch,
    ...     epochs=3,
    ...     callbacks=[checkpoint],
    ...     verbose=0,
    ... )
    >>> checkpoint.restore(model)
    Position(epoch=3, step=0)
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        minutes: float | None = 10.0,
        epochs: int = 1,
        with_state: Sequence[Any] = (),
    ):
        super().__init__()
        if (minutes is not None and not minutes >= 0) or epochs < 1:
            raise ValueError(
                "Expected `minutes` to be None or 0 and more, and `epochs` 1 or more. "
                f"Received: minutes={minutes}, epochs={epochs}"
            )
        self.folder, self.minutes, self.epochs = Path(folder), minutes, epochs
        self.with_state = with_state
        self._start, self._metrics = Position(), None
        self._saved = time.monotonic()

    def restore(self, model: keras.Model, data: Any = None) -> Position:
        """Puts the newest good checkpoint into a built, compiled model.

        Args:
            model: Made and compiled as in the run that was stopped.
            data: Yields batches as `fit` gets them, validation's for instance. To go on
                within an epoch one is evaluated, since Keras makes the variables of
                metrics only when it has seen a batch.

        Returns:
            From where to go on; `Position(0, 0)` where there is no checkpoint. If its
            `step` is not 0, the next `fit` must be that epoch, and begin with the batch
            of that number: metrics go on where they were.
        """
        self._start, self._metrics = Position(), None
        self._delete_unfinished()
        state = self._newest_of_all()
        if state is None:
            return self._start
        state.put_into(model)
        self._start = _position(state)
        if self._start.step:
            self._metrics = state
            _see_a_batch(model, data)
        self._put_states(state.note["with_state"])
        return self._start

    def _newest_of_all(self):
        """The newest good checkpoint that every process has, or None."""
        newest_first = filter(None, map(_read_or_delete, reversed(self._files())))
        if devices.process()[1] == 1:
            return next(newest_first, None)
        states = list(newest_first)
        ours = np.full((KEPT, 2), -1, "int64")
        for row, state in zip(ours, states, strict=False):
            row[:] = _position(state)
        found = devices.from_all_processes(ours.ravel()).reshape(-1, KEPT, 2)
        everyone = [{Position(*map(int, row)) for row in rows} for rows in found]
        common = set.intersection(*everyone) - {Position(-1, -1)}
        newest = max(common, default=None)
        return next((s for s in states if _position(s) == newest), None)

    def _put_states(self, states):
        if len(states) != len(self.with_state):
            raise ValueError(
                f"Expected `with_state` as in the run that was stopped, {len(states)} "
                f"objects. Received: {len(self.with_state)}"
            )
        for owner, state in zip(self.with_state, states, strict=True):
            owner.set_state(state)

    def delete(self) -> None:
        """Removes the checkpoints of a training that is done."""
        self._delete_unfinished()
        for file in self._files():
            file.unlink()
        if self.folder.exists() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._first = epoch, 0
        if self._metrics is not None and epoch == self._start.epoch:
            # Keras has just set them back to nothing.
            self._metrics.put_metrics_into(self.model)
            self._first = self._start.step
        self._metrics = None

    def on_train_batch_end(self, batch, logs=None):
        if self.minutes is None or batch + 1 == self.params.get("steps"):
            return  # the epoch ends in a moment
        if devices.process()[1] > 1:
            return  # their clocks differ, and all must have the same checkpoints
        if time.monotonic() - self._saved >= 60 * self.minutes:
            self._save(Position(self._epoch, self._first + batch + 1))

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.epochs == 0 or epoch + 1 == self.params.get("epochs"):
            self._save(Position(epoch + 1))

    def _save(self, position):
        states = [owner.get_state() for owner in self.with_state]
        note = {**position._asdict(), "with_state": states}
        # Reading `self.model` also hands the weights back to the model on JAX.
        state = TrainingState.of(self.model, note)
        if spoiled := state.spoiled(self.model):
            warnings.warn(_not_kept(spoiled, position), stacklevel=2)
        else:
            self._write(state, position)
        self._saved = time.monotonic()

    def _write(self, state, position):
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"epoch{position.epoch:06d}-step{position.step:08d}.npz"
        state.write(self.folder / name)
        # Later ones could not be read: they do not count.
        so_far = [file for file in self._files() if file.name <= name]
        for file in so_far[:-KEPT]:
            file.unlink()

    def _files(self):
        """From the oldest to the newest; a name says how far it had come."""
        return sorted(self.folder.glob("epoch*-step*.npz"))

    def _delete_unfinished(self):
        """What a process was writing when it was killed."""
        for file in self.folder.glob(".epoch*-step*.npz.writing"):
            file.unlink()


def _read_or_delete(file):
    try:
        return TrainingState.read(file)
    except (OSError, ValueError) as error:
        warnings.warn(
            f"{file} is damaged ({error}); the checkpoint before it is used, "
            "or else the training begins anew.",
            stacklevel=4,
        )
        if not isinstance(error, OSError):  # then it may be whole, and a network not
            file.unlink()


def _not_kept(spoiled, position):
    names = ", ".join(spoiled[:3]) + (", ..." if len(spoiled) > 3 else "")
    within = f"in epoch {position.epoch + 1} after step {position.step}"
    return (
        "Expected finite weights in a checkpoint; this one is not kept, those before "
        "are. A NonFiniteGuard stops such a training. Received: non-finite "
        f"{names} {within if position.step else f'after epoch {position.epoch}'}"
    )


def _position(state):
    return Position(state.note["epoch"], state.note["step"])


def _see_a_batch(model, data):
    if data is None:
        raise ValueError(
            "Expected `data`, of which one batch is evaluated, to go on within an "
            "epoch. Received: data=None"
        )
    batch = keras.tree.map_structure(np.asarray, next(iter(data)))  # of any framework
    model.test_on_batch(*keras.utils.unpack_x_y_sample_weight(batch))
