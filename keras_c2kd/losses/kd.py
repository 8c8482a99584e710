"""KD: the soft labels of a teacher, at a temperature."""

from typing import Any

import keras

from keras_c2kd.losses.distillation import DistillationLoss, check_settings
from keras_c2kd.ops.divergence import kl_divergence
from keras_c2kd.ops.reduction import batch_mean


@keras.saving.register_keras_serializable(package="keras_c2kd")
class KD(DistillationLoss):
    """The divergence of the student's prediction from the teacher's soft labels.

    How probable a teacher finds the wrong classes says which of them are alike; a high
    temperature brings that out.

        KD = T^2 KL(softmax(t / T) || softmax(s / T))

    Args:
        temperature: `T`, above 0.

    Raises:
        ValueError: a temperature that is none.

    Example:

    >>> from keras_c2kd.losses import KD
    >>> loss = KD(temperature=1.0).compute_loss([[2.0, 0.0]], [[0.0, 2.0]])
    >>> round(float(loss), 4)
    1.5232

    Reference:
        G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
        Network", NIPS workshop, 2014. A temperature of 4 and a weight of 1 are those
        of Y. Tian et al., "Contrastive Representation Distillation", ICLR 2020, which
        later comparisons on CIFAR-100 have kept; Hinton et al. use 2 to 20.
    """

    def __init__(self, temperature: float = 4.0):
        check_settings({}, {"temperature": temperature})
        self.temperature = temperature

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        loss = kl_divergence(teacher_outputs, student_outputs, self.temperature)
        return batch_mean(loss, sample_weight)

    def get_config(self):
        return {"temperature": self.temperature}
