"""What every distillation loss of this package has in common."""

from typing import Any

import keras


class DistillationLoss(keras.distillation.DistillationLoss):
    """A loss between what a teacher and a student say about the same samples.

    Keras's interface, widened by what methods of this field need: the labels, and
    weights of samples. Whatever teaches is detached, all is computed in float32, and
    the denominator stays the batch: a sample of weight 0 makes the loss smaller, it
    does not make the others larger. A term of pairs of samples weighs a pair by
    `w_i w_j`.

    A subclass defines `compute_loss` and `get_config`. One that has layers is a
    `keras.layers.Layer` too, and creates them in `build(teacher, student)` from the
    symbolic outputs of both models that it `uses`.

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
