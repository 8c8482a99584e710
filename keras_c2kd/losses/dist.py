"""DIST: correlation instead of equality."""

from typing import Any

import keras
from keras import ops

from keras_c2kd.losses.distillation import (
    DistillationLoss,
    as_pair,
    as_row_weights,
    as_rows,
    check_settings,
)

_TINY = 1e-12


@keras.saving.register_keras_serializable(package="keras_c2kd")
class DIST(DistillationLoss):
    """The student's predictions should vary as the teacher's, not equal them.

    A stronger teacher's probabilities are out of reach for a student; their order and
    proportions are not. Both are asked for over the classes of a sample, and over the
    samples of a class.

        DIST = T^2 [beta (1 - mean_n r(p^S_n, p^T_n))      a sample's classes
                  + gamma (1 - mean_c r(p^S_:c, p^T_:c))]  a class's samples

    with `r` Pearson's correlation of softmax outputs at temperature `T`. Of logits with
    positions (pixels), each position is a sample.

    With weights `w` of samples, the first mean weighs a sample by `w_n`. The
    covariances of the second are sums over pairs of samples, `w_i w_j (a_i - a_j)
    (b_i - b_j)`, and the whole of it is multiplied by `sum_ij w_i w_j / N^2`.

    Args:
        beta: weight of the first term, at least 0.
        gamma: weight of the second term, at least 0.
        temperature: `T`, above 0.

    Raises:
        ValueError: settings out of their range.

    Example:

    >>> from keras_c2kd.losses import DIST
    >>> logits = [[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]]
    >>> abs(round(float(DIST().compute_loss(logits, logits)), 4))
    0.0

    Reference:
        T. Huang, S. You, F. Wang, C. Qian, C. Xu, "Knowledge Distillation from A
        Stronger Teacher", NeurIPS 2022. beta, gamma and temperature of 1, and the
        factor T^2, are those of the released code.
    """

    def __init__(self, beta: float = 1.0, gamma: float = 1.0, temperature: float = 1.0):
        check_settings({"beta": beta, "gamma": gamma}, {"temperature": temperature})
        self.beta = beta
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
        w = as_row_weights(sample_weight, s)
        t, s = as_rows(t, s)
        p_t, p_s = (ops.softmax(z / self.temperature, axis=-1) for z in (t, s))
        ones = ops.ones_like(p_s)
        of_samples = ops.mean(w * (1.0 - correlation(p_s, p_t, ones, axis=1)))
        of_classes = 1.0 - ops.mean(correlation(p_s, p_t, w[:, None], axis=0))
        of_classes = ops.square(ops.mean(w)) * of_classes
        loss = self.beta * of_samples + self.gamma * of_classes
        return self.temperature**2 * loss

    def get_config(self):
        return {
            "beta": self.beta,
            "gamma": self.gamma,
            "temperature": self.temperature,
        }


def correlation(a: Any, b: Any, weight: Any, axis: int) -> Any:
    """Pearson's correlation along an axis; 0, with no gradient, where one is constant.

    A sum over pairs `w_i w_j (a_i - a_j) (b_i - b_j)` is, but for a factor that
    cancels, `sum w (a - mean) (b - mean)` with the weighted means.
    """
    share = weight / ops.maximum(ops.sum(weight, axis=axis, keepdims=True), _TINY)
    a, b = (z - ops.sum(share * z, axis=axis, keepdims=True) for z in (a, b))
    both = ops.sum(share * a * b, axis=axis)
    square = ops.sum(share * a * a, axis=axis) * ops.sum(share * b * b, axis=axis)
    varies = square > _TINY**2
    # Two `where`s: the gradient of a root at 0 is not finite, also where not chosen.
    return ops.where(varies, both / ops.sqrt(ops.where(varies, square, 1.0)), 0.0)
