"""DKD: target and non-target knowledge, each with a weight of its own."""

from typing import Any

import keras

from keras_c2kd.losses.distillation import (
    DistillationLoss,
    as_pair,
    check_settings,
    class_indices,
)
from keras_c2kd.ops.divergence import non_target_kl_divergence, target_kl_divergence
from keras_c2kd.ops.reduction import batch_mean


@keras.saving.register_keras_serializable(package="keras_c2kd")
class DKD(DistillationLoss):
    """KD whose two parts no longer weigh each other.

    In KD, what a teacher knows of the non-target classes counts for little where it is
    sure of the target, which is where it knows most.

        DKD = alpha TCKD + beta NCKD
        TCKD = T^2 KL of (target, all others);   NCKD = T^2 KL over the other classes

    Args:
        alpha: weight of TCKD, at least 0.
        beta: weight of NCKD, at least 0.
        temperature: `T`, above 0.

    Raises:
        ValueError: settings out of their range, or no labels.

    Example:

    >>> from keras_c2kd.losses import DKD
    >>> loss = DKD(1.0, 0.0, 1.0).compute_loss([[2.0, 0.0]], [[0.0, 2.0]], [0])
    >>> round(float(loss), 4)
    1.5232

    Reference:
        B. Zhao, Q. Cui, R. Song, Y. Qiu, J. Liang, "Decoupled Knowledge Distillation",
        CVPR 2022: alpha 1, beta 8 and temperature 4 for most pairs on CIFAR-100. Its
        weight rises from 0 to 1 over the first 20 of 240 epochs: give the distiller
        `keras.optimizers.schedules.PolynomialDecay(0.0, steps, 1.0)` as its weight.
    """

    def __init__(self, alpha: float = 1.0, beta: float = 8.0, temperature: float = 4.0):
        check_settings({"alpha": alpha, "beta": beta}, {"temperature": temperature})
        self.alpha = alpha
        self.beta = beta
        self.temperature = temperature

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        t, s = as_pair(teacher_outputs, student_outputs)
        both = t, s, class_indices(labels, s, self), self.temperature
        loss = self.alpha * target_kl_divergence(*both)
        loss += self.beta * non_target_kl_divergence(*both)
        return batch_mean(loss, sample_weight)

    def get_config(self):
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "temperature": self.temperature,
        }
