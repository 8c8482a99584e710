"""What every distillation loss of this package has in common."""

import math
from numbers import Real
from typing import Any

import keras
from keras import ops

from keras_c2kd.losses.c2kd_terms import as_class_indices
from keras_c2kd.ops.reduction import align


class DistillationLoss(keras.distillation.DistillationLoss):
    """A loss between what a teacher and a student say about the same samples.

    Keras's interface, widened by what methods of this field need: the labels, and
    weights of samples. Whatever teaches is detached, all is computed in float32, and
    the denominator stays the batch: a sample of weight 0 makes the loss smaller, it
    does not make the others larger. A term of pairs of samples weighs a pair by
    `w_i w_j`.

    A subclass defines `compute_loss` and `get_config`. One that has layers is a
    `keras.layers.Layer` too, and creates them in `build(teacher_shape, student_shape)`
    for the outputs of both models that it `uses`.

    Attributes:
        uses: `"logits"`, `(B, ..., C)`, or `"features"`, what the tapped layers return.
    """

    uses = "logits"

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        """The loss of a batch.

        Args:
            teacher_outputs: logits or features of the teacher.
            student_outputs: the same of the student.
            labels: target classes, integers `(B, ...)`, or one-hot.
            sample_weight: `None`, `(B,)`, or the shape of the labels.

        Returns:
            A float32 scalar.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def check_settings(at_least_zero: dict[str, Any], above_zero: dict[str, Any]) -> None:
    """Refuse weights and temperatures that are no finite numbers in their range."""
    for settings, least in ((at_least_zero, "at least"), (above_zero, "above")):
        for name, value in settings.items():
            number = isinstance(value, Real) and math.isfinite(value) and value >= 0
            if not number or (least == "above" and value == 0):
                raise ValueError(
                    f"Expected `{name}` to be a finite number {least} 0. "
                    f"Received: {name}={value!r}"
                )


def as_pair(teacher_outputs: Any, student_outputs: Any) -> tuple[Any, Any]:
    """Both in float32, the teacher's detached."""
    teacher, student = (
        ops.cast(ops.convert_to_tensor(x), "float32")
        for x in (teacher_outputs, student_outputs)
    )
    return ops.stop_gradient(teacher), student


def as_rows(*logits: Any) -> list[Any]:
    """Logits `(B, ..., C)` as `(N, C)`: each position is a row."""
    return [ops.reshape(x, (-1, x.shape[-1])) for x in logits]


def as_row_weights(sample_weight: Any, logits: Any) -> Any:
    """A float32 weight for each row of `as_rows(logits)`."""
    like = ops.ones_like(logits[..., 0])
    if sample_weight is not None:
        like = like * align(ops.cast(sample_weight, "float32"), like)
    return ops.reshape(like, (-1,))


def weights_of_samples(sample_weight: Any) -> Any:
    """`(B,)` or None: features have other positions than the labels, or none."""
    if sample_weight is None:
        return None
    weight = ops.cast(sample_weight, "float32")
    positions = tuple(range(1, len(weight.shape)))
    return ops.mean(weight, axis=positions) if positions else weight


def channels_last(features: Any) -> Any:
    """Features as `(B, ..., D)`: Keras may have the channels of maps in front."""
    if len(features.shape) > 3 and keras.config.image_data_format() == "channels_first":
        return ops.moveaxis(features, 1, -1)
    return features


def as_vectors(*features: Any) -> list[Any]:
    """Features as `(B, D)`: their mean over positions."""
    features = [channels_last(x) for x in features]
    axes = [tuple(range(1, len(x.shape) - 1)) for x in features]
    return [
        ops.mean(x, axis=axis) if axis else x
        for x, axis in zip(features, axes, strict=True)
    ]


def class_indices(labels: Any, logits: Any, loss: DistillationLoss) -> Any:
    """Labels as integers, for a loss that cannot do without."""
    if labels is None:
        raise ValueError(
            f"Expected labels: {type(loss).__name__} treats the target class apart. "
            "Received: labels=None"
        )
    return as_class_indices(labels, logits)
