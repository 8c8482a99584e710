"""DistillationWatch: says in the log when a distillation does nothing."""

import logging
from typing import Any

import keras

from keras_c2kd.diagnostics.broken import find_broken

_LOG = logging.getLogger("keras_c2kd")


class DistillationWatch(keras.callbacks.Callback):
    """Warns of an epoch in which nothing, or all, was selected, and of a collapse.

    A selection of nothing is training on labels alone, a selection of everything is
    distillation without OFSD; neither fails, and neither is what was asked for. A
    student that gives one answer to everything has collapsed.

    Args:
        data: Validation data as for `measure_modality_gap`, to look at the student's
            answers; `None` looks at the selection alone.
        ignore_class: A label that is left out.
        most_batches: Of `data`, at the end of every epoch.

    Warnings go to the logger `"keras_c2kd"`.

    Example:

    >>> from keras_c2kd.callbacks import DistillationWatch
    >>> watch = DistillationWatch()
    """

    def __init__(
        self, data: Any = None, ignore_class: int | None = None, most_batches: int = 8
    ):
        super().__init__()
        self.data, self.ignore_class = data, ignore_class
        self.most_batches = most_batches

    def on_epoch_end(self, epoch, logs=None):
        selected = (logs or {}).get("selected")
        if selected is not None and selected in (0.0, 1.0):
            _LOG.warning("Epoch %d: %s", epoch + 1, _SELECTED[float(selected)])
        model = self.model
        if self.data is None or not hasattr(model, "student"):
            return
        for sentence in find_broken(
            model.student,
            self.data,
            modality=model.student_modality,
            role="student",
            most_batches=self.most_batches,
            ignore_class=self.ignore_class,
        ):
            _LOG.warning("Epoch %d: %s.", epoch + 1, sentence)


_SELECTED = {
    0.0: "OFSD selected not one sample, so nothing crossed between the modalities; the "
    "proxies rank the classes differently, or the threshold is too high.",
    1.0: "OFSD selected every sample, so it sorted nothing out; the threshold may be "
    "too low.",
}
