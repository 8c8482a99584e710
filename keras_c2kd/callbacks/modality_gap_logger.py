"""ModalityGapLogger: how far apart the two modalities are, epoch by epoch."""

from typing import Any

import keras

from keras_c2kd.diagnostics import ModalityGap, measure_modality_gap
from keras_c2kd.diagnostics.batches import batches


class ModalityGapLogger(keras.callbacks.Callback):
    """Adds the modality gap of teacher and student to the logs of an epoch.

    C2KD changes both models; the gap tells whether they come to rank the classes alike,
    and whether one overtakes the other. The logs get `gap_accuracy` and
    `gap_target_probability` (teacher minus student), `gap_krc`, `gap_krc_above_zero`,
    `gap_agreement` and `gap_only_teacher_right`, see `ModalityGap.headline`.

    Keras calls callbacks in the order of the list: put this one before CSVLogger,
    TensorBoard, and whatever else shall see the figures. History and the progress bar
    come after all of them by themselves. A callback that monitors one of them needs its
    direction: `EarlyStopping("gap_krc", mode="max")`.

    Args:
        data: What is measured on, as a rule validation data: a `tf.data.Dataset`,
            PyDataset or list of `({modality: ...}, labels)`, or the pair
            `({modality: array}, labels)`. A label that the loss ignores is left out.
        every: Measures in the first and the last of a fit's `epochs`, and in every
            `every`-th between; the first, since CSVLogger takes its columns from it.
            Other epochs have no such entry, in the history neither.
        batch_size: For arrays.

    `gap` is the last `ModalityGap`.

    Raises:
        ValueError: an `every` that is no positive integer, data that can be read once
            only, a model without a teacher and a student; and what
            `measure_modality_gap` raises.

    Example:

    >>> import numpy as np
    >>> from keras_c2kd.callbacks import ModalityGapLogger
    >>> data = {"depth": np.ones((8, 4)), "rgb": np.ones((8, 6))}
    >>> callback = ModalityGapLogger((data, np.arange(8) % 3), every=5)

    Reference:
        F. Huo et al., "C2KD", CVPR 2024, for the modality gap. The batch size is that
        of `keras.Model.predict`.
    """

    def __init__(self, data: Any, every: int = 1, batch_size: int = 32):
        super().__init__()
        if not isinstance(every, int) or every < 1:
            raise ValueError(
                f"Expected `every` to be a positive integer. Received: every={every!r}"
            )
        if hasattr(data, "__next__"):
            raise ValueError(
                "Expected data that can be read in every epoch, as a tf.data.Dataset "
                f"or a list. Received: data={data!r}, which is used up by one reading"
            )
        batches(data, batch_size=batch_size)  # refuses what an epoch would wait for
        self.data, self.every, self.batch_size = data, every, batch_size
        self.gap: ModalityGap | None = None
        self._first: int | None = None

    def on_train_begin(self, logs=None):
        self._first = None
        names = ("teacher", "student", "teacher_modality", "student_modality")
        if not all(hasattr(self.model, name) for name in names):
            raise ValueError(
                "Expected a CrossModalDistiller, with teacher, student and modalities. "
                f"Received: model of type {type(self.model).__name__}"
            )

    def on_epoch_begin(self, epoch, logs=None):
        if self._first is None:
            self._first = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        ends = (self._first, self.params.get("epochs", 0) - 1)
        if epoch % self.every and epoch not in ends:
            return
        # Reading `self.model` also hands the weights back to the models on JAX.
        model = self.model
        self.gap = measure_modality_gap(
            model.teacher,
            model.student,
            self.data,
            teacher_modality=model.teacher_modality,
            student_modality=model.student_modality,
            batch_size=self.batch_size,
            ignore_class=getattr(model.loss, "ignore_class", None),
        )
        if logs is not None:
            headline = self.gap.headline()
            logs.update({f"gap_{name}": value for name, value in headline.items()})
