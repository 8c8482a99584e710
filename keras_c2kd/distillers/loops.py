"""Keras's loops, after a look at what the data is, with a bar of few figures."""

import keras

from keras_c2kd.distillers import checks
from keras_c2kd.distillers.progress import QuietProgbar


class Loops:
    """`fit`, `evaluate` and `predict` of a `CrossModalDistiller`."""

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """As `keras.Model.fit`, after a look at what the data is."""
        checks.check_data(self, x, y, training=True)
        if self.built and not self.trainable_variables:
            raise ValueError(
                "Expected something to train; set `trainable = True` on the student "
                "and compile again. Received: a model that is frozen as a whole"
            )
        validation = kwargs.get("validation_data")
        if validation is not None:
            pair = validation if isinstance(validation, tuple) else (validation, None)
            checks.check_data(self, *pair[:2])
        callbacks = self._with_progbar(callbacks, verbose)
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        **kwargs,
    ):
        """As `keras.Model.evaluate`; the student's modality alone is enough."""
        checks.check_data(self, x, y)
        callbacks = self._with_progbar(callbacks, verbose)
        return super().evaluate(
            x, y, batch_size, verbose, sample_weight, steps, callbacks, **kwargs
        )

    def predict_step(self, *args):
        """Student logits, on paired data too. JAX passes its state before the data."""
        *state, data = args
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return super().predict_step(*state, (self.route(inputs)[1],))

    def _with_progbar(self, callbacks, verbose):
        if not verbose or isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks
        callbacks = keras.tree.flatten(callbacks) if callbacks is not None else []
        if any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks):
            return callbacks
        return [*callbacks, QuietProgbar(hidden=self.term_names)]
