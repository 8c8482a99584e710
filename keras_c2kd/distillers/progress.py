"""A progress bar of the few figures that a person follows."""

import keras


class QuietProgbar(keras.callbacks.ProgbarLogger):
    """The stock progress bar without the figures named in `hidden`.

    They stay in the logs, for CSVLogger, TensorBoard and History.
    """

    def __init__(self, hidden):
        super().__init__()
        self.hidden = frozenset(hidden)

    def _shown(self, logs):
        hidden = self.hidden | {f"val_{name}" for name in self.hidden}
        return {k: v for k, v in (logs or {}).items() if k not in hidden}

    def on_train_batch_end(self, batch, logs=None):
        super().on_train_batch_end(batch, self._shown(logs))

    def on_test_batch_end(self, batch, logs=None):
        super().on_test_batch_end(batch, self._shown(logs))

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, self._shown(logs))

    def on_test_end(self, logs=None):
        super().on_test_end(self._shown(logs))
