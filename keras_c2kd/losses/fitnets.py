"""FitNets: hints from inside the teacher."""

from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.losses.distillation import DistillationLoss, as_pair, as_vectors
from keras_c2kd.ops.reduction import batch_mean


@keras.saving.register_keras_serializable(package="keras_c2kd")
class FitNets(DistillationLoss, layers.Layer):
    """A regressor of the student's features should give the teacher's.

    It is a linear map of channels (a 1 x 1 convolution), trained with the student and
    left behind with the teacher.

        FitNets = mean over samples, positions and channels of (r(z_S) - z_T)^2

    Where the maps differ in size, the student's is resized to the teacher's
    (bilinear); where the two differ in rank (a map and a sequence), both are averaged
    over their positions.

    Args:
        **kwargs: `name` of `keras.layers.Layer`.

    Example:

    >>> from keras_c2kd.losses import FitNets
    >>> loss = FitNets()
    >>> loss.build((None, 4), (None, 6))
    >>> tuple(loss.regressor.kernel.shape)
    (6, 4)

    Reference:
        A. Romero, N. Ballas, S. E. Kahou, A. Chassang, C. Gatta, Y. Bengio, "FitNets:
        Hints for Thin Deep Nets", ICLR 2015. There the hint comes first, in a stage of
        its own; training with all losses at once, a 1 x 1 regressor and the mean square
        (with a weight of 100 on CIFAR-100) follow Y. Tian et al., ICLR 2020.
    """

    uses = "features"

    def __init__(self, **kwargs: Any):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)

    def build(self, teacher_shape, student_shape):
        """Creates the regressor for features of these shapes."""
        self.regressor = layers.Dense(
            teacher_shape[-1], dtype="float32", name="regressor"
        )
        self.regressor.build(tuple(student_shape))
        self.built = True

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        t, s = as_pair(teacher_outputs, student_outputs)
        if len(t.shape) != len(s.shape):
            t, s = as_vectors(t, s)
        elif len(t.shape) == 4 and t.shape[1:3] != s.shape[1:3]:
            s = ops.image.resize(s, t.shape[1:3], data_format="channels_last")
        square = ops.square(self.regressor(s) - t)
        rest = tuple(range(1, len(square.shape)))
        return batch_mean(ops.mean(square, axis=rest), sample_weight)

    def get_config(self):
        config = layers.Layer.get_config(self)
        config.pop("dtype")
        return config
