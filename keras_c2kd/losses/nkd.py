"""NKD: KD written as two cross-entropies, the second one normalized."""

from typing import Any

import keras
from keras import ops

from keras_c2kd.losses.distillation import (
    DistillationLoss,
    as_pair,
    check_settings,
    class_indices,
)
from keras_c2kd.ops.divergence import non_target_log_softmax
from keras_c2kd.ops.reduction import batch_mean


@keras.saving.register_keras_serializable(package="keras_c2kd")
class NKD(DistillationLoss):
    """The teacher's word on the target, and its ranking of the rest, both normalized.

    The non-target parts of two predictions do not add up to the same; normalized, they
    can be made equal.

        NKD = -p_y(t) log p_y(s) - gamma T^2 sum_{i != y} n_i(t / T) log n_i(s / T)

    with `p` a softmax over all classes, at temperature 1, and `n` one over those other
    than the target.

    Args:
        gamma: weight of the second part, at least 0.
        temperature: `T`, above 0, of the second part alone.

    Raises:
        ValueError: settings out of their range, or no labels.

    Example:

    >>> from keras_c2kd.losses import NKD
    >>> loss = NKD().compute_loss([[2.0, 0.0]], [[0.0, 0.0]], [0])
    >>> round(float(loss), 4)
    0.6105

    Reference:
        Z. Yang, A. Zeng, Z. Li, T. Zhang, C. Yuan, Y. Li, "From Knowledge Distillation
        to Self-Knowledge Distillation: A Unified Approach with Normalized Loss and
        Customized Soft Labels", ICCV 2023: gamma 1.5, temperature 1.
    """

    def __init__(self, gamma: float = 1.5, temperature: float = 1.0):
        check_settings({"gamma": gamma}, {"temperature": temperature})
        self.gamma = gamma
        self.temperature = temperature

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        t, s = as_pair(teacher_outputs, student_outputs)
        y = class_indices(labels, s, self)
        target = ops.one_hot(y, s.shape[-1], dtype="float32")
        p_t = ops.sum(target * ops.softmax(t, axis=-1), axis=-1)
        log_p_s = ops.sum(target * ops.log_softmax(s, axis=-1), axis=-1)
        n_t, n_s = (
            non_target_log_softmax(logits / self.temperature, y) for logits in (t, s)
        )
        rest = ops.sum(ops.where(target > 0, 0.0, ops.exp(n_t) * n_s), axis=-1)
        loss = -p_t * log_p_s - self.gamma * self.temperature**2 * rest
        return batch_mean(loss, sample_weight)

    def get_config(self):
        return {"gamma": self.gamma, "temperature": self.temperature}
