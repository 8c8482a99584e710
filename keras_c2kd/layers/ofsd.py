"""OFSD: On-the-Fly Selection Distillation as a layer."""

import math
from numbers import Real
from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.losses.c2kd_terms import (
    as_class_indices,
    c2kd_loss_terms,
    check_classes,
)
from keras_c2kd.losses.distillation import DistillationLoss
from keras_c2kd.ops.divergence import check_non_target
from keras_c2kd.ops.reduction import align
from keras_c2kd.ops.selection import check_selection, select_samples

Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable(package="keras_c2kd")
class OFSD(DistillationLoss, layers.Layer):
    """Selects the samples whose knowledge may cross, and computes the terms.

    It holds the settings of the selection and its losses, so that they are saved and
    compared with the model; it has no weights and computes in float32.

    In C2KD it gates the terms between the two proxies. Around another loss on logits,
    `OFSD(loss=KD())`, it is the selection alone, as in the paper's Fig. 5: a sample
    that is not selected, by the logits of both models, weighs 0 in that loss.

    Args:
        threshold: A sample crosses where the Kendall rank correlation of the two
            proxies is strictly above this; in [-1, 1], or a Keras
            `LearningRateSchedule` of it over training steps.
        temperature: Divides the logits of all six terms of C2KD, above 0.
        non_target: `"renormalized"` or `"zero_logit"`.
        select: Of dense logits (segmentation), `"position"` lets each pixel cross for
            itself, `"sample"` all or none of an image's, by their mean KRC.
        rule: `"krc"`, `"top_fraction"`, `"both_correct"` or `"all"`, see
            `keras_c2kd.ops.select_samples`.
        fraction: What `"top_fraction"` lets through, in (0, 1].
        variant: Kendall's tau-`"b"` or tau-`"a"`.
        classes: What crosses in C2KD: `"non_target"`, `"target"` or `"all"`.
        loss: A `keras_c2kd.losses.DistillationLoss` on logits, whose samples are
            selected; it has its own temperature. None in C2KD.
        **kwargs: `name` of `keras.layers.Layer`.

    Call arguments and returns: those of `keras_c2kd.losses.c2kd_loss_terms`, which
    also has the formula, and `step`, the training step of a scheduled threshold.

    Raises:
        ValueError: a setting out of its range.

    Example:

    >>> import numpy as np
    >>> from keras_c2kd import OFSD
    >>> logits = np.random.default_rng(0).normal(size=(4, 8, 5)).astype("float32")
    >>> terms = OFSD(threshold=0.2)(np.arange(8) % 5, *logits)
    >>> tuple(terms["krc"].shape)
    (8,)

    Reference:
        F. Huo et al., "C2KD", CVPR 2024; defaults of the released code, but for
        `non_target`, where the default is the paper's equation.
    """

    def __init__(
        self,
        threshold: float | Schedule = 0.0,
        temperature: float = 1.0,
        non_target: str = "renormalized",
        select: str = "position",
        rule: str = "krc",
        fraction: float = 0.5,
        variant: str = "b",
        classes: str = "non_target",
        loss: DistillationLoss | None = None,
        **kwargs: Any,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if not isinstance(threshold, Schedule):
            check_range("threshold", threshold, -1.0, 1.0)
        check_range("fraction", fraction, 0.0, 1.0, open_below=True)
        if not (isinstance(temperature, Real) and 0.0 < temperature < math.inf):
            raise ValueError(
                "Expected `temperature` to be a finite number above 0. "
                f"Received: temperature={temperature!r}"
            )
        check_non_target(non_target)
        check_selection(rule, select)
        check_classes(classes)
        if variant not in ("a", "b"):
            raise ValueError(f'Expected `variant` "a" or "b". Received: {variant=}')
        check_gated_loss(loss)
        self.threshold = threshold
        self.temperature = temperature
        self.non_target = non_target
        self.select = select
        self.rule = rule
        self.fraction = fraction
        self.variant = variant
        self.classes = classes
        self.loss = loss
        self.built = True  # there are no weights
        self.supports_masking = True  # `mask` is an argument like the others

    @property
    def scheduled(self):
        """Whether the threshold depends on the training step."""
        return isinstance(self.threshold, Schedule)

    def call(
        self,
        labels,
        teacher_logits,
        student_logits,
        teacher_proxy_logits,
        student_proxy_logits,
        sample_weight=None,
        mask=None,
        step=None,
    ):
        return c2kd_loss_terms(
            labels,
            teacher_logits,
            student_logits,
            teacher_proxy_logits,
            student_proxy_logits,
            temperature=self.temperature,
            non_target=self.non_target,
            classes=self.classes,
            sample_weight=sample_weight,
            mask=mask,
            **self._selection(step),
        )

    def compute_loss(
        self,
        teacher_outputs,
        student_outputs,
        labels=None,
        sample_weight=None,
        mask=None,
        step=None,
    ):
        """The wrapped loss on the selected samples, over the whole batch."""
        return self.selected_loss(
            teacher_outputs, student_outputs, labels, sample_weight, mask, step
        )[0]

    def selected_loss(
        self,
        teacher_outputs,
        student_outputs,
        labels=None,
        sample_weight=None,
        mask=None,
        step=None,
    ):
        """`(loss, krc, selected)`; what is selected has the shape of the labels."""
        if self.loss is None:
            raise ValueError(
                "Expected OFSD(loss=...) where it is a loss of its own; alone it is "
                "the `ofsd` of C2KD. Received: loss=None"
            )
        indices = labels
        if labels is not None:
            indices = as_class_indices(labels, student_outputs)
        krc, selected = select_samples(
            teacher_outputs,
            student_outputs,
            indices,
            mask=mask,
            sample_weight=sample_weight,
            **self._selection(step),
        )
        weight = ops.cast(selected, "float32")
        if sample_weight is not None:
            weight = weight * align(ops.cast(sample_weight, "float32"), weight)
        loss = self.loss.compute_loss(teacher_outputs, student_outputs, labels, weight)
        return loss, krc, selected

    def _selection(self, step):
        threshold = self.threshold
        if self.scheduled:
            if step is None:
                raise ValueError(
                    "Expected `step`, the training step, with a scheduled threshold. "
                    "Received: step=None"
                )
            threshold = threshold(step)
        return {
            "rule": self.rule,
            "threshold": threshold,
            "fraction": self.fraction,
            "variant": self.variant,
            "select": self.select,
        }

    def compute_mask(self, *args, **kwargs):
        return None

    def get_config(self):
        config = layers.Layer.get_config(self)
        config.pop("dtype")
        names = ("temperature", "non_target", "select", "rule", "fraction")
        names += ("variant", "classes")
        return {
            **config,
            **{name: getattr(self, name) for name in names},
            "threshold": keras.saving.serialize_keras_object(self.threshold),
            "loss": keras.saving.serialize_keras_object(self.loss),
        }

    @classmethod
    def from_config(cls, config):
        loaded = {
            name: keras.saving.deserialize_keras_object(config[name])
            for name in ("threshold", "loss")
            if isinstance(config.get(name), dict)
        }
        return cls(**{**config, **loaded})


def check_gated_loss(loss):
    """None, or a loss on logits whose samples are selected once."""
    if isinstance(loss, OFSD):
        raise ValueError(
            "Expected `loss` to be a loss that does not select samples itself. "
            f"Received: loss={loss!r}"
        )
    if loss is not None and getattr(loss, "uses", None) != "logits":
        raise ValueError(
            "Expected `loss` to be one of keras_c2kd.losses that works on logits "
            "and takes sample weights, which is how samples are left out. "
            f"Received: loss={loss!r}"
        )


def check_range(name, value, low, high, open_below=False):
    """A number in [low, high], or in (low, high]."""
    if isinstance(value, Real) and low <= value <= high:
        if not (open_below and value == low):
            return
    raise ValueError(
        f"Expected `{name}` between {low:g}{' (not included)' if open_below else ''} "
        f"and {high:g}. Received: {name}={value!r}"
    )
