"""StopOnNonFinite: ends a run whose loss is no number, and says where."""

import math

import keras


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises at the first step whose loss is NaN or infinite.

    What was saved before stays as it is, so a run can go on from its last good
    checkpoint. Reading the loss waits for each step, which costs nothing on a CPU.

    Raises:
        FloatingPointError: names the epoch, the step and the terms that are affected.

    Example:

    >>> from keras_c2kd.callbacks import StopOnNonFinite
    >>> callback = StopOnNonFinite()
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        values = {name: float(value) for name, value in (logs or {}).items()}
        if math.isfinite(values.get("loss", 0.0)):
            return
        # Reading `self.model` also hands the weights back to the model on JAX.
        self.model.stop_training = True
        affected = [name for name, value in values.items() if not math.isfinite(value)]
        raise FloatingPointError(
            "Expected a finite loss; a smaller learning rate, gradient clipping "
            "(`clipnorm`) or a look at the data (NaN, labels out of range) may help; "
            "what was saved before is unharmed. Received: non-finite "
            f"{', '.join(affected)} at epoch {self.epoch + 1}, step {batch + 1}"
        )
