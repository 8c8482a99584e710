"""RKD: how samples lie to each other, by distances and angles."""

from typing import Any

import keras
from keras import ops

from keras_c2kd.losses.distillation import (
    DistillationLoss,
    as_pair,
    as_vectors,
    check_settings,
    weights_of_samples,
)

_TINY = 1e-12


@keras.saving.register_keras_serializable(package="keras_c2kd")
class RKD(DistillationLoss):
    """The student's features should relate samples as the teacher's do.

    Distances between samples, and angles at a sample between two others, mean the same
    in spaces of different width and modality; single values do not.

        RKD = distance_weight mean_ij h(d^S_ij, d^T_ij)
            + angle_weight mean_ijk h(cos^S_ijk, cos^T_ijk)

    with `d` a distance divided by the mean over pairs of distinct samples, `cos_ijk`
    the cosine of the angle at `j` between `i` and `k`, `h` the Huber loss with delta 1.
    Features with positions are averaged over them first. A pair weighs `w_i w_j`, also
    in that mean of distances, a triplet `w_i w_j w_k`; the means of the losses are over
    all pairs and triplets of the batch. The angles take memory of `B^3` numbers.

    Args:
        distance_weight: at least 0.
        angle_weight: at least 0.

    Raises:
        ValueError: weights out of their range.

    Example:

    >>> from keras_c2kd.losses import RKD
    >>> teacher = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    >>> student = [[5.0, 5.0], [5.0, 9.0], [1.0, 5.0]]  # turned, moved and scaled
    >>> abs(round(float(RKD().compute_loss(teacher, student)), 4))
    0.0

    Reference:
        W. Park, D. Kim, Y. Lu, M. Cho, "Relational Knowledge Distillation", CVPR 2019.
        25 and 50 are the weights that its authors use for classification (CIFAR-100,
        section 4.2); Huber's delta of 1 is theirs too.
    """

    uses = "features"

    def __init__(self, distance_weight: float = 25.0, angle_weight: float = 50.0):
        weights = {"distance_weight": distance_weight, "angle_weight": angle_weight}
        check_settings(weights, {})
        self.distance_weight = distance_weight
        self.angle_weight = angle_weight

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        t, s = as_vectors(*as_pair(teacher_outputs, student_outputs))
        w = weights_of_samples(sample_weight)
        w = ops.ones_like(s[:, 0]) if w is None else w
        t, s = (z[:, None, :] - z[None, :, :] for z in (t, s))
        (d_t, u_t), (d_s, u_s) = _length_and_direction(t), _length_and_direction(s)
        pairs = w[:, None] * w[None, :]
        distance = pairs * huber(_relative(d_s, pairs), _relative(d_t, pairs))
        # From j to i times from j to k: [j, i, k].
        cos_t, cos_s = (ops.matmul(u, ops.transpose(u, (0, 2, 1))) for u in (u_t, u_s))
        angle = w[:, None, None] * pairs[None] * huber(cos_s, cos_t)
        loss = self.distance_weight * ops.mean(distance)
        return loss + self.angle_weight * ops.mean(angle)

    def get_config(self):
        return {
            "distance_weight": self.distance_weight,
            "angle_weight": self.angle_weight,
        }


def huber(a: Any, b: Any) -> Any:
    """Half the square of a difference up to 1, then as steep as there."""
    difference = ops.abs(a - b)
    near = ops.minimum(difference, 1.0)
    return near * (difference - 0.5 * near)


def _length_and_direction(x):
    """Of vectors along the last axis; 0, with no gradient, for none."""
    square = ops.sum(ops.square(x), axis=-1)
    there = square > _TINY
    length = ops.sqrt(ops.where(there, square, 1.0))
    direction = ops.where(there[..., None], x / length[..., None], 0.0)
    return ops.where(there, length, 0.0), direction


def _relative(distance, weight):
    """Divided by the weighted mean of those that are not 0, as in the released code."""
    total = ops.sum(ops.where(distance > 0, weight, 0.0))
    mean = ops.sum(weight * distance) / ops.where(total > 0, total, 1.0)
    return distance / ops.maximum(mean, _TINY)
