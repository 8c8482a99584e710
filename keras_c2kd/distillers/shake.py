"""SHAKE: a shadow of the teacher that learns with the student."""

from typing import Any

import keras
from keras import ops

from keras_c2kd.distillers.cross_modal import CrossModalDistiller
from keras_c2kd.distillers.loss_terms import at_step, check_weight
from keras_c2kd.distillers.parts import (
    check_positive,
    check_tapped,
    cross_entropy,
    targets,
)
from keras_c2kd.layers.proxy_head import ProxyHead
from keras_c2kd.ops.divergence import kl_divergence
from keras_c2kd.ops.reduction import batch_mean

_WEIGHTS = ("shadow_weight", "mutual_weight", "label_weight")


@keras.saving.register_keras_serializable(package="keras_c2kd")
class SHAKE(CrossModalDistiller):
    """Distils through a shadow head on a frozen teacher, which adapts to the student.

    A teacher that learns from its student teaches it better, but training a large
    teacher again is dear. A small head on its features follows its soft labels, and
    teaches and learns in its stead.

        L = H(f_S, y) + shadow_weight D(f_T -> h)
          + mutual_weight [D(h -> f_S) + D(f_S -> h)] + label_weight H(h, y)

    `f` are logits, `h` those of the shadow head, `D` is
    `keras_c2kd.ops.kl_divergence` at the temperature: what teaches is detached. No
    gradient reaches the teacher from any of these; the paper freezes it
    (`teacher.trainable = False` before `compile`), one that is not learns from the
    labels alone.

    A sample of weight 0 is in no term; the statistics of the shadow head's BatchNorm
    see it in training, as those of both models do.

    Args:
        teacher: A Keras model that returns logits `(B, ..., C)`, pre-trained.
        student: A Keras model that returns logits `(B, ..., C)`.
        teacher_modality: Key of the teacher's input in the input dict.
        student_modality: Key of the student's input in the input dict.
        teacher_features: Layer whose output feeds the shadow head.
        student_features: Not needed here.
        temperature: Divides the logits in `D`, which is times its square; above 0.
        shadow_weight: At least 0; this and the next two may be Keras
            `LearningRateSchedule`s over training steps.
        mutual_weight: `lambda` of the paper.
        label_weight: 0 is the paper's equation, 1 the released code.
        **kwargs: Those of `CrossModalDistiller`.

    Call arguments and returns: those of `CrossModalDistiller`, and `shadow_logits`.

    Raises:
        ValueError: a setting out of its range, models that do not go together, no
            teacher features.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.distillers.shake import SHAKE
    >>> def net(width):
    ...     x = inputs = keras.Input((width,))
    ...     x = keras.layers.Dense(16, activation="relu", name="features")(x)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> teacher = net(4)
    >>> teacher.trainable = False
    >>> model = SHAKE(teacher, net(6), "depth", "rgb", teacher_features="features")
    >>> model.compile("adam")
    >>> data = {"depth": np.ones((8, 4), "float32"), "rgb": np.ones((8, 6), "float32")}
    >>> history = model.fit(data, np.arange(8) % 3, verbose=0).history
    >>> "shadow_to_student" in history
    True

    Reference:
        L. Li, Z. Jin, "Shadow Knowledge Distillation: Bridging Offline and Online
        Knowledge Transfer", NeurIPS 2022. The three `D`, temperature 4 and lambda 1:
        equation 5 and section 3 of the submitted text, which adds (table 5) that labels
        for the shadow head do harm. That the head sits on the teacher's features is the
        released code (github.com/lliai/SHAKE, weights of 1 there); in that text it is
        on the student's backbone, which across modalities would see none of the
        teacher's. Not taken over from the code: it standardises all logits and scales
        them by pi, follows the teacher by a mean squared error, and its head is larger,
        three stages fused by convolutions into the teacher's own classifier, where this
        is a `ProxyHead`.
    """

    term_names = (
        "teacher_to_shadow",
        "shadow_to_student",
        "student_to_shadow",
        "labels_to_shadow",
    )

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        teacher_modality: str,
        student_modality: str,
        teacher_features: str | None = None,
        student_features: str | None = None,
        temperature: float = 4.0,
        shadow_weight: float = 1.0,
        mutual_weight: float = 1.0,
        label_weight: float = 0.0,
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
        check_positive("temperature", temperature)
        self.temperature = temperature
        self.shadow_weight = shadow_weight
        self.mutual_weight = mutual_weight
        self.label_weight = label_weight
        for name in _WEIGHTS:
            check_weight(name, getattr(self, name))
        self.count_steps_for(*(getattr(self, name) for name in _WEIGHTS))
        self.build_if_known()

    def build_heads(self, teacher_features, student_features, student_logits):
        check_tapped("teacher", teacher_features)
        self.shadow_head = ProxyHead(
            self.num_classes,
            pooling="average" if len(student_logits.shape) == 2 else None,
            dtype=self.dtype_policy,
            name="shadow_head",
        )
        self.shadow_head.build(tuple(teacher_features.shape))

    def heads(
        self, teacher_features, student_features, student_logits, training, complete
    ):
        logits = self.shadow_head(
            ops.stop_gradient(teacher_features), training=training, present=complete
        )
        grid = tuple(student_logits.shape)[1:-1]
        if tuple(logits.shape)[1:-1] != grid:  # of segmentation
            logits = ops.image.resize(logits, grid, data_format="channels_last")
        return {"shadow_logits": logits}

    def distill(self, labels, outputs, sample_weight, complete):
        teacher, student, shadow = (
            outputs[f"{name}_logits"] for name in ("teacher", "student", "shadow")
        )
        labels, mask = targets(self, labels, student, complete)

        def mean(values):
            return batch_mean(values, sample_weight, mask)

        def divergence(a, b):
            return mean(kl_divergence(a, b, self.temperature))

        step = self.training_step
        follow, mutual, label = (
            at_step(getattr(self, name), step) for name in _WEIGHTS
        )
        return {
            "teacher_to_shadow": (follow, divergence(teacher, shadow)),
            "shadow_to_student": (mutual, divergence(shadow, student)),
            "student_to_shadow": (mutual, divergence(student, shadow)),
            "labels_to_shadow": (label, mean(cross_entropy(labels, shadow))),
        }, {}

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.temperature,
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in _WEIGHTS
            },
        }
