"""FitNets: hints from inside the teacher."""

from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.losses.distillation import (
    DistillationLoss,
    as_pair,
    as_vectors,
    channels_last,
    weights_of_samples,
)
from keras_c2kd.ops.reduction import align, batch_mean

EPSILON = 1e-5  # of the batch normalisation in the code that the weight is from


@keras.saving.register_keras_serializable(package="keras_c2kd")
class FitNets(DistillationLoss, layers.Layer):
    """A regressor of the student's features should give the teacher's.

    It is a linear map of channels (a 1 x 1 convolution) and a batch normalisation,
    trained with the student and left behind with the teacher.

        FitNets = mean over samples, positions and channels of (r(z_S) - z_T)^2
        r(z) = gamma (W z - mean(W z)) / sqrt(var(W z) + 1e-5) + beta

    Without the normalisation SGD diverges at the weight that is usual, 100. Mean and
    variance are those of the batch, samples by their weight.

    Where the maps differ in size, the student's is resized to the teacher's
    (bilinear); where the two differ in rank (a map and a sequence) or in the length of
    a sequence, both are averaged over their positions.

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
        its own; training with all losses at once, a 1 x 1 regressor with batch
        normalisation and the mean square (with a weight of 100 on CIFAR-100) follow
        Y. Tian et al., ICLR 2020. Their ReLU behind it is left out, for features of
        other modalities may be negative.
    """

    uses = "features"

    def __init__(self, **kwargs: Any):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)

    def build(self, teacher_shape, student_shape):
        """Creates the regressor for features of these shapes."""
        teacher_shape, student_shape = (
            channels_last(keras.KerasTensor(shape)).shape
            for shape in (teacher_shape, student_shape)
        )
        channels = teacher_shape[-1]
        self.regressor = layers.Dense(
            channels, use_bias=False, dtype="float32", name="regressor"
        )
        self.regressor.build(tuple(student_shape))
        self.gamma = self.add_weight((channels,), "ones", name="gamma")
        self.beta = self.add_weight((channels,), "zeros", name="beta")
        self.built = True

    def compute_loss(
        self,
        teacher_outputs: Any,
        student_outputs: Any,
        labels: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        t, s = as_pair(teacher_outputs, student_outputs)
        if not self.built:
            raise ValueError(
                "Expected a FitNets loss that has its regressor: CrossModalDistiller "
                "makes it, alone call build(teacher_shape, student_shape) before. "
                f"Received: features of shapes {tuple(t.shape)} and {tuple(s.shape)}"
            )
        sample_weight = weights_of_samples(sample_weight)
        if len(t.shape) == len(s.shape) == 4:
            t, s = channels_last(t), channels_last(s)
            if t.shape[1:3] != s.shape[1:3]:
                s = ops.image.resize(s, t.shape[1:3], data_format="channels_last")
        elif t.shape[1:-1] != s.shape[1:-1]:
            t, s = as_vectors(t, s)
        square = ops.square(self._normalized(self.regressor(s), sample_weight) - t)
        rest = tuple(range(1, len(square.shape)))
        return batch_mean(ops.mean(square, axis=rest), sample_weight)

    def _normalized(self, x, sample_weight):
        """Each channel over samples and positions, then scaled and shifted."""
        if sample_weight is None:
            sample_weight = ops.ones(ops.shape(x)[:1])
        weight = align(ops.cast(sample_weight, x.dtype), x)
        share = weight / ops.maximum(ops.sum(weight), 1e-7)
        positions = tuple(range(1, len(x.shape) - 1))

        def mean(values):
            if positions:
                values = ops.mean(values, axis=positions, keepdims=True)
            return ops.sum(share * values, axis=0, keepdims=True)

        x = x - mean(x)
        return self.gamma * x / ops.sqrt(mean(ops.square(x)) + EPSILON) + self.beta

    def get_config(self):
        config = layers.Layer.get_config(self)
        config.pop("dtype")
        return config
