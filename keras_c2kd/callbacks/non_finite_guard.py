"""NonFiniteGuard: a step that is no number does no harm, and is explained."""

import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from keras_c2kd.backend import devices
from keras_c2kd.backend.finite import all_finite
from keras_c2kd.callbacks.training_checkpoint import Position
from keras_c2kd.diagnostics.non_finite import explain_non_finite

_LOG = logging.getLogger("keras_c2kd")
_SHOWN = 3  # explanations in an epoch


class NonFiniteGuard(keras.callbacks.Callback):
    """Stops at a step with NaN or Inf, or leaves such steps out and counts them.

    A distiller does not take such a step: weights, optimizer and BatchNorm stay as they
    were, so that what is saved stays good and the batch can be looked at. With scaled
    losses (float16) only inputs and loss are looked at, since there gradients overflow
    now and then. Reading the logs waits for each step, which costs nothing on a CPU.

    Any other Keras model stops after the step, at a loss that is no number, or at the
    end of the epoch if its weights are none (a rectifier can hide NaN from the loss;
    until then a `TrainingCheckpoint` keeps what was before); so does a distiller on
    several devices of TensorFlow.

    Args:
        action: `"stop"` raises; `"skip"` goes on, logs `non_finite_steps` and says in
            the log how many steps of an epoch were left out.
        batch_of: `batch_of(epoch, step)` returns `(ids, batch)` of a step, both counted
            from 0, so that the samples can be named; `batch` is as `fit` gets it.
        start: Where a training goes on that was stopped, from `TrainingCheckpoint`.

    Raises:
        ValueError: an unknown action, or `"skip"` where steps cannot be left out.
        FloatingPointError: names the epoch, the step, the samples and the terms.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd import CrossModalDistiller
    >>> from keras_c2kd.callbacks import NonFiniteGuard
    >>> def net(width):
    ...     inputs = keras.Input((width,))
    ...     return keras.Model(inputs, keras.layers.Dense(3)(inputs))
    >>> model = CrossModalDistiller(
    ...     net(4), net(6), teacher_modality="depth", student_modality="rgb"
    ... )
    >>> model.compile("sgd")
    >>> data = {"depth": np.ones((8, 4), "float32"), "rgb": np.ones((8, 6), "float32")}
    >>> data["depth"][5] = np.nan
    >>> y = np.arange(8) % 3
    >>> guard = NonFiniteGuard("skip")
    >>> model.fit(
    ...     data, y, batch_size=4, shuffle=False, callbacks=[guard], verbose=0
    ... ).history["non_finite_steps"]
    [1.0]
    """

    def __init__(
        self,
        action: str = "stop",
        batch_of: Callable[[int, int], tuple[Sequence[str], Any]] | None = None,
        start: Position | None = None,
    ):
        super().__init__()
        if action not in ("stop", "skip"):
            raise ValueError(
                f'Expected `action` to be "stop" or "skip". Received: action={action!r}'
            )
        self.action, self.batch_of = action, batch_of
        self.start = start or Position()

    def set_model(self, model):
        super().set_model(model)
        alone = devices.GUARDS_REPLICAS or not devices.shares_batches(model)
        if hasattr(model, "guard_steps") and alone:
            model.guard_steps()
        elif self.action == "skip":
            raise ValueError(
                'Expected a CrossModalDistiller on one device with action="skip": of '
                'others no step can be left out; action="stop" is for them too. '
                f"Received: {type(model).__name__}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._left_out = epoch, None
        self._first = self.start.step if epoch == self.start.epoch else 0

    def on_train_batch_begin(self, batch, logs=None):
        if self._left_out is None:
            # Not 0 where a `TrainingCheckpoint` has just put metrics back.
            self._left_out = _steps_left_out(self.model)

    def on_train_batch_end(self, batch, logs=None):
        logs = logs or {}
        left_out = float(logs.get("non_finite_steps", 0.0))
        if left_out <= self._left_out and math.isfinite(float(logs.get("loss", 0.0))):
            return
        self._left_out = left_out
        if self.action == "skip" and left_out > _SHOWN:
            return
        self._act(self._first + batch, logs)

    def _act(self, step, logs):
        found = self._explain(step, logs)
        where = f"{found} at epoch {self._epoch + 1}, step {step + 1}"
        if self.action == "skip":
            _LOG.warning("Left out, since it is not finite: %s", where)
        else:
            self._stop(where)

    def _stop_if_spoiled(self, model):
        spoiled = dict.fromkeys(
            layer.name
            for layer in model._flatten_layers(include_self=False)
            for variable in layer.weights
            if not bool(all_finite([variable.value]))
        )
        if spoiled:
            names = ", ".join(list(spoiled)[:_SHOWN])
            self._stop(f"non-finite weights of {names} at epoch {self._epoch + 1}")

    def _stop(self, where):
        self.model.stop_training = True
        raise FloatingPointError(
            "Expected finite inputs, loss and gradients; what was saved before is "
            "unharmed. Samples that are no numbers must be mended or left out; else a "
            "smaller learning rate or gradient clipping (`clipnorm`) may help. "
            f"Received: {where}"
        )

    def on_epoch_end(self, epoch, logs=None):
        if not getattr(self.model, "guarded", False):
            self._stop_if_spoiled(self.model)
        elif self._left_out:
            _LOG.warning(
                "Epoch %d: %d steps were not finite and left out.",
                epoch + 1,
                self._left_out,
            )

    def _explain(self, step, logs):
        if self.batch_of is not None:
            # Reading `self.model` also hands the weights back to the model on JAX.
            ids, batch = self.batch_of(self._epoch, step)
            return explain_non_finite(self.model, ids, batch)
        names = [name for name, value in logs.items() if not math.isfinite(value)]
        return f"non-finite {', '.join(names)}" if names else "a step without a number"


def _steps_left_out(model):
    """Of this epoch, as the model counts them; 0 where it does not."""
    for metric in model.metrics:
        if metric.name == "non_finite_steps":
            return float(ops.convert_to_numpy(metric.result()))
    return 0.0
