"""FD-CMKD: low and high frequencies of the features are distilled differently."""

from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.distillers.cross_modal import CrossModalDistiller
from keras_c2kd.distillers.loss_terms import at_step, check_weight
from keras_c2kd.distillers.parts import cross_entropy, feature_vectors, targets
from keras_c2kd.ops.frequency import signed_log, split_frequencies, standardize
from keras_c2kd.ops.reduction import batch_mean

_WEIGHTS = ("align_weight", "low_weight", "high_weight")


@keras.saving.register_keras_serializable(package="keras_c2kd")
class FDCMKD(CrossModalDistiller):
    """Distils the features of a teacher of another modality, by their frequencies.

    Along the channels of a feature vector, low frequencies are alike in two modalities
    and high ones are not. So the student copies the low ones, and follows the high ones
    with a loss that forgives large differences; two classifiers that both modalities
    share bring the classes to the same places.

        L = H(f_S, y) + align_weight L_align + low_weight L_low + high_weight L_high
        L_low   = 1/(N D) sum ||Std(low_T) - Std(low_S)||^2
        L_high  = 1/(N D) sum ||g(Std(high_T)) - g(Std(high_S))||^2
        L_align = H(c_low(low_T), y) + H(c_low(low_S), y)
                + H(c_high(high_T), y) + H(c_high(high_S), y)

    `low` and `high` are the halves of `keras_c2kd.ops.split_frequencies` of the
    features, averaged over positions; `Std` is `keras_c2kd.ops.standardize`, `g`
    `keras_c2kd.ops.signed_log`, `c` a linear classifier, trained with the student.
    Student features of another width than the teacher's are projected to it by a
    linear layer that is trained with them.

    No gradient reaches the teacher from any of these; the paper freezes it
    (`teacher.trainable = False` before `compile`), one that is not learns from the
    labels alone. A sample of weight 0 is in no term.

    Args:
        teacher: A Keras model that returns logits `(B, C)`, pre-trained.
        student: A Keras model that returns logits `(B, C)`.
        teacher_modality: Key of the teacher's input in the input dict.
        student_modality: Key of the student's input in the input dict.
        teacher_features: Layer of the last features before the classifier (in the
            released script, of a ResNet-18 before its last ReLU).
        student_features: The same for the student.
        align_weight: At least 0; this and the next two may be Keras
            `LearningRateSchedule`s over training steps.
        low_weight: `lambda_1` of the paper.
        high_weight: `lambda_2` of the paper.
        **kwargs: Those of `CrossModalDistiller`.

    Call arguments and returns: those of `CrossModalDistiller`, and of both roles `low`,
    `high`, `low_logits` and `high_logits`, as `teacher_low`.

    Raises:
        ValueError: a setting out of its range, models that do not go together, no
            features, logits of more than one position.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.distillers.fd_cmkd import FDCMKD
    >>> def net(width):
    ...     x = inputs = keras.Input((width,))
    ...     x = keras.layers.Dense(16, activation="relu", name="features")(x)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> teacher = net(4)
    >>> teacher.trainable = False
    >>> model = FDCMKD(teacher, net(6), "depth", "rgb", "features", "features")
    >>> model.compile("adam")
    >>> data = {"depth": np.ones((8, 4), "float32"), "rgb": np.ones((8, 6), "float32")}
    >>> history = model.fit(data, np.arange(8) % 3, verbose=0).history
    >>> sorted(history)
    ['align', 'high', 'loss', 'low']

    Reference:
        J. Liu, Y. Zhang, T. Huang, W. Xu, R. Yang, "Distilling Cross-Modal Knowledge
        via Feature Disentanglement", AAAI 2026, arXiv 2511.19887. Weights of 1 are
        those of the released script, read in a public copy (zxn0710/re-FD-CMKD-main on
        GitHub). It is not the paper's equation in three things, not taken over here:
        its classifiers have a ReLU before the linear map, the mean of the features is
        in neither half, and the student has two more classifiers of its halves, of
        which (and the student itself) the best on test counts.
    """

    term_names = ("align", "low", "high")

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        teacher_modality: str,
        student_modality: str,
        teacher_features: str | None = None,
        student_features: str | None = None,
        align_weight: float = 1.0,
        low_weight: float = 1.0,
        high_weight: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(
            teacher,
            student,
            teacher_modality,
            student_modality,
            teacher_features,
            student_features,
            **kwargs,
        )
        self.align_weight = align_weight
        self.low_weight = low_weight
        self.high_weight = high_weight
        for name in _WEIGHTS:
            check_weight(name, getattr(self, name))
        self.count_steps_for(*(getattr(self, name) for name in _WEIGHTS))
        self.build_if_known()

    def build_heads(self, teacher_features, student_features, student_logits):
        self.teacher_vector, self.student_vector = feature_vectors(
            teacher_features, student_features, student_logits
        )
        shape = self.teacher_vector.compute_output_shape(tuple(teacher_features.shape))
        self.low_classifier, self.high_classifier = (
            layers.Dense(self.num_classes, dtype="float32", name=f"{half}_classifier")
            for half in ("low", "high")
        )
        self.low_classifier.build(shape)
        self.high_classifier.build(shape)

    def heads(
        self, teacher_features, student_features, student_logits, training, complete
    ):
        vectors = {
            "teacher": ops.stop_gradient(self.teacher_vector(teacher_features)),
            "student": self.student_vector(student_features),
        }
        outputs = {}
        for role, vector in vectors.items():
            low, high = split_frequencies(vector)
            outputs[f"{role}_low"] = low
            outputs[f"{role}_high"] = high
            outputs[f"{role}_low_logits"] = self.low_classifier(low)
            outputs[f"{role}_high_logits"] = self.high_classifier(high)
        return outputs

    def distill(self, labels, outputs, sample_weight, complete):
        labels, mask = targets(self, labels, outputs["student_logits"], complete)
        low, high = (
            [standardize(outputs[f"{role}_{half}"]) for role in ("teacher", "student")]
            for half in ("low", "high")
        )
        align = sum(
            cross_entropy(labels, outputs[f"{role}_{half}_logits"])
            for role in ("teacher", "student")
            for half in ("low", "high")
        )
        values = {
            "align": align,
            "low": _mean_square(*low),
            "high": _mean_square(*map(signed_log, high)),
        }
        step = self.training_step
        return {
            name: (
                at_step(getattr(self, f"{name}_weight"), step),
                batch_mean(value, sample_weight, mask),
            )
            for name, value in values.items()
        }, {}

    def get_config(self):
        return {
            **super().get_config(),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in _WEIGHTS
            },
        }


def _mean_square(a, b):
    return ops.mean(ops.square(a - b), axis=-1)
