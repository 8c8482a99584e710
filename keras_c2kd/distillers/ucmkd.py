"""UCMKD: distillation between modalities whose samples are not paired."""

from types import SimpleNamespace
from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.distillers.cross_modal import CrossModalDistiller
from keras_c2kd.distillers.loss_terms import at_step, check_weight
from keras_c2kd.distillers.parts import (
    check_positive,
    classifier_of,
    cross_entropy,
    feature_vectors,
    targets,
)
from keras_c2kd.distillers.taps import is_functional
from keras_c2kd.ops.divergence import kl_divergence
from keras_c2kd.ops.reduction import align, batch_mean
from keras_c2kd.ops.transport import euclidean_distances, sinkhorn

_WEIGHTS = ("feature_weight", "label_weight")


@keras.saving.register_keras_serializable(package="keras_c2kd")
class UCMKD(CrossModalDistiller):
    """Distils a frozen teacher into a student of another modality, paired or not.

    Distributions are aligned, not samples: those of the features, by optimal transport
    between the teacher's and the student's of a batch, and those of the predictions,
    by what the teacher's classifier says of the student's features. This is the
    one-level form, the sum of all losses.

        L = H(f_S, y) + feature_weight FA + label_weight LA
        FA = min over plans P of sum_ij P_ij ||z_S,i - z_T,j||_2      (entropic)
        LA = 1/N sum_n [-log p_S(y_n | x_n) + kappa_n log p_T(y_n | z_S,n)]

    `z` are features averaged over positions; student features of another width than
    the teacher's are projected to it by a linear layer. `p_T` is the teacher's
    classifier, and `kappa = p_T(y | z_S)` without gradient: where the teacher gives the
    label no probability, it has no say.

    The teacher's classifier is the teacher's own last `Dense` layer, where the features
    reach it through global average pooling and dropout alone. From any other tap it is
    a linear classifier of the teacher's features, trained to repeat the teacher's
    logits (`teacher_to_classifier`, weight 1); the other terms do not train it.

    Unpaired data: shuffle the teacher's rows against the student's, and freeze the
    teacher (`teacher.trainable = False` before `compile`). The labels are the
    student's, and without sample weights no term depends on the order of the teacher's
    rows; weights are those of both rows. The teacher's metrics mean nothing then. Where
    the teacher is not frozen, it learns from the labels alone, which must be its own.

    A sample of weight 0 has no mass in the transport, on either side; a mass is the
    weight over the number of samples.

    Args:
        teacher: A Keras model that returns logits `(B, C)`, pre-trained.
        student: A Keras model that returns logits `(B, C)`.
        teacher_modality: Key of the teacher's input in the input dict.
        student_modality: Key of the student's input in the input dict.
        teacher_features: Layer of the features, the paper's the last before the
            classifier.
        student_features: The same for the student.
        feature_weight: `lambda_1` of the paper, at least 0; this and the next may be
            Keras `LearningRateSchedule`s over training steps.
        label_weight: `lambda_2` of the paper.
        epsilon: Of the entropic transport, see `keras_c2kd.ops.sinkhorn`; above 0.
        iterations: Of the transport, at least 1.
        **kwargs: Those of `CrossModalDistiller`.

    Call arguments and returns: those of `CrossModalDistiller`, and `teacher_vector`,
    `student_vector`, and the logits of the teacher's classifier on each,
    `teacher_classified` and `student_classified`.

    Raises:
        ValueError: a setting out of its range, models that do not go together, no
            features, logits of more than one position.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.distillers.ucmkd import UCMKD
    >>> def net(width):
    ...     x = inputs = keras.Input((width,))
    ...     x = keras.layers.Dense(16, activation="relu", name="features")(x)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> teacher = net(4)
    >>> teacher.trainable = False
    >>> model = UCMKD(teacher, net(6), "depth", "rgb", "features", "features")
    >>> model.compile("adam")
    >>> data = {"depth": np.ones((8, 4), "float32"), "rgb": np.ones((8, 6), "float32")}
    >>> history = model.fit(data, np.arange(8) % 3, verbose=0).history
    >>> "feature_alignment" in history
    True

    Reference:
        T. K. Tran, A. D. Chu, Q. H. Pham, P. L. Nguyen, T. N. Hoang, "Cross-Modal
        Knowledge Distillation without Paired Data: Theoretical Foundation and
        Algorithm", ICML 2026, arXiv 2606.10504: weights of 1 in table 12, epsilon 0.1
        in section 3.1, kappa in appendix D, the one-level form as "w/o bilevel" in
        table 6. The released code (github.com/Duckduck-05/UCMKD, method `sumall`) has
        the 100 iterations. It holds `p_T` constant, with which the gradient of LA is
        that of the task loss; here it reaches the features, as in the paper's
        equation 15. Of unequal widths it compares the first channels alone.
    """

    term_names = ("feature_alignment", "label_alignment", "teacher_to_classifier")

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        teacher_modality: str,
        student_modality: str,
        teacher_features: str | None = None,
        student_features: str | None = None,
        feature_weight: float = 1.0,
        label_weight: float = 1.0,
        epsilon: float = 0.1,
        iterations: int = 100,
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
        check_positive("epsilon", epsilon)
        if not isinstance(iterations, int) or iterations < 1:
            raise ValueError(
                "Expected `iterations` to be an integer of at least 1. "
                f"Received: iterations={iterations!r}"
            )
        self.feature_weight = feature_weight
        self.label_weight = label_weight
        self.epsilon = epsilon
        self.iterations = iterations
        for name in _WEIGHTS:
            check_weight(name, getattr(self, name))
        self.count_steps_for(*(getattr(self, name) for name in _WEIGHTS))
        # A plain object: the teacher tracks its layer already.
        self._of_teacher = SimpleNamespace(classifier=None)
        self.classifier = None
        self.build_if_known()

    def build_heads(self, teacher_features, student_features, student_logits):
        self.teacher_vector, self.student_vector = feature_vectors(
            teacher_features, student_features, student_logits
        )
        if is_functional(self.teacher):
            self._of_teacher.classifier = classifier_of(*self._teacher_tap.spec())
        if self._of_teacher.classifier is None:
            shape = tuple(teacher_features.shape)
            self.classifier = layers.Dense(
                self.num_classes, dtype="float32", name="teacher_classifier"
            )
            self.classifier.build(self.teacher_vector.compute_output_shape(shape))

    def heads(
        self, teacher_features, student_features, student_logits, training, complete
    ):
        teacher = ops.stop_gradient(self.teacher_vector(teacher_features))
        student = self.student_vector(student_features)
        own = self._of_teacher.classifier
        return {
            "teacher_vector": teacher,
            "student_vector": student,
            "teacher_classified": constant(own, teacher)
            if own is not None
            else self.classifier(teacher),
            "student_classified": constant(own or self.classifier, student),
        }

    def distill(self, labels, outputs, sample_weight, complete):
        logits = outputs["student_logits"]
        labels, mask = targets(self, labels, logits, complete)
        cost = euclidean_distances(outputs["student_vector"], outputs["teacher_vector"])
        mass = masses(cost[:, 0], sample_weight, mask)
        plan = sinkhorn(cost, self.epsilon, self.iterations, mass, mass)
        by_student = cross_entropy(labels, logits)
        by_teacher = cross_entropy(labels, outputs["student_classified"])
        kappa = ops.stop_gradient(ops.exp(-by_teacher))
        repeat = kl_divergence(outputs["teacher_logits"], outputs["teacher_classified"])

        def mean(values):
            return batch_mean(values, sample_weight, mask)

        step = self.training_step
        feature, label = (at_step(getattr(self, name), step) for name in _WEIGHTS)
        return {
            "feature_alignment": (feature, ops.sum(plan * cost)),
            "label_alignment": (label, mean(by_student - kappa * by_teacher)),
            "teacher_to_classifier": (1.0, mean(repeat)),
        }, {}

    def get_config(self):
        return {
            **super().get_config(),
            "epsilon": self.epsilon,
            "iterations": self.iterations,
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in _WEIGHTS
            },
        }


def masses(like: Any, sample_weight: Any, mask: Any) -> Any:
    """Of the samples in the transport, so that it is a mean over the batch."""
    mass = ops.ones_like(like)
    if sample_weight is not None:
        mass = mass * align(ops.cast(sample_weight, "float32"), mass)
    there = ops.ones_like(like) if mask is None else ops.cast(mask, "float32")
    return mass * there / ops.maximum(ops.sum(there), 1.0)


def constant(layer: keras.layers.Dense, x: Any) -> Any:
    """What a `Dense` layer gives, with a gradient for `x` alone."""
    kernel = ops.stop_gradient(ops.cast(layer.kernel, "float32"))
    logits = ops.matmul(x, kernel)
    if layer.bias is None:
        return logits
    return logits + ops.stop_gradient(ops.cast(layer.bias, "float32"))
