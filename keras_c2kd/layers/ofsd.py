"""OFSD: On-the-Fly Selection Distillation as a layer."""

import math
from numbers import Real
from typing import Any

import keras
from keras import layers

from keras_c2kd.losses.c2kd_terms import c2kd_loss_terms
from keras_c2kd.ops.divergence import check_non_target
from keras_c2kd.ops.selection import check_select


@keras.saving.register_keras_serializable(package="keras_c2kd")
class OFSD(layers.Layer):
    """Selects the samples whose knowledge may cross, and computes the terms.

    It holds the settings of the selection and its losses, so that they are
    saved and compared with the model; it has no weights and computes in float32.

    Args:
        threshold: A sample crosses where the Kendall rank correlation of the two
            proxies is strictly above this; in [-1, 1].
        temperature: Divides the logits of all six terms, above 0.
        non_target: `"renormalized"` or `"zero_logit"`.
        select: Of dense logits (segmentation), `"position"` lets each pixel cross for
            itself, `"sample"` all or none of an image's, by their mean KRC.
        **kwargs: `name` of `keras.layers.Layer`.

    Call arguments and returns: those of `keras_c2kd.losses.c2kd_loss_terms`, which
    also has the formula.

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
        threshold: float = 0.0,
        temperature: float = 1.0,
        non_target: str = "renormalized",
        select: str = "position",
        **kwargs: Any,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(autocast=False, **kwargs)
        if not (isinstance(threshold, Real) and -1.0 <= threshold <= 1.0):
            raise ValueError(
                "Expected `threshold` between -1 and 1, the range of a rank "
                f"correlation. Received: threshold={threshold!r}"
            )
        if not (isinstance(temperature, Real) and 0.0 < temperature < math.inf):
            raise ValueError(
                "Expected `temperature` to be a finite number above 0. "
                f"Received: temperature={temperature!r}"
            )
        check_non_target(non_target)
        check_select(select)
        self.threshold = threshold
        self.temperature = temperature
        self.non_target = non_target
        self.select = select
        self.built = True  # there are no weights
        self.supports_masking = True  # `mask` is an argument like the others

    def call(
        self,
        labels,
        teacher_logits,
        student_logits,
        teacher_proxy_logits,
        student_proxy_logits,
        sample_weight=None,
        mask=None,
    ):
        return c2kd_loss_terms(
            labels,
            teacher_logits,
            student_logits,
            teacher_proxy_logits,
            student_proxy_logits,
            threshold=self.threshold,
            temperature=self.temperature,
            non_target=self.non_target,
            select=self.select,
            sample_weight=sample_weight,
            mask=mask,
        )

    def compute_mask(self, *args, **kwargs):
        return None

    def get_config(self):
        config = super().get_config()
        config.pop("dtype")
        return {
            **config,
            "threshold": self.threshold,
            "temperature": self.temperature,
            "non_target": self.non_target,
            "select": self.select,
        }
