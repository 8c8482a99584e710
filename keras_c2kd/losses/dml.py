"""DML: two models that learn from each other."""

from typing import Any

import keras

from keras_c2kd.losses.distillation import DistillationLoss, check_settings
from keras_c2kd.ops.divergence import kl_divergence
from keras_c2kd.ops.reduction import batch_mean


@keras.saving.register_keras_serializable(package="keras_c2kd")
class DML(DistillationLoss):
    """Each model learns from the other's soft labels, while both learn from the labels.

    No model knows better from the start; what the other finds second most probable is
    a label that the data does not have.

        DML = T^2 [KL(softmax(t / T) || softmax(s / T))
                 + KL(softmax(s / T) || softmax(t / T))],   the left side detached

    The teacher must be trainable.

    Args:
        temperature: `T`, above 0.

    Raises:
        ValueError: a temperature that is none.

    Example:

    >>> from keras_c2kd.losses import DML
    >>> loss = DML().compute_loss([[2.0, 0.0]], [[0.0, 2.0]])
    >>> round(float(loss), 4)
    3.0464

    Reference:
        Y. Zhang, T. Xiang, T. M. Hospedales, H. Lu, "Deep Mutual Learning", CVPR 2018:
        no temperature and a weight of 1. There the two take turns in a step; here
        both take it from the same forward pass.
    """

    def __init__(self, temperature: float = 1.0):
        check_settings({}, {"temperature": temperature})
        self.temperature = temperature

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        pair = teacher_outputs, student_outputs
        loss = kl_divergence(*pair, self.temperature)
        loss += kl_divergence(*reversed(pair), self.temperature)
        return batch_mean(loss, sample_weight)

    def get_config(self):
        return {"temperature": self.temperature}
