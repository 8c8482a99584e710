"""ModalityGap: what a measurement found, as numbers and in words."""

import dataclasses
import math
from typing import Any

from keras_c2kd.diagnostics.words import describe


@dataclasses.dataclass(frozen=True)
class Imbalance:
    """How much one model knows more than the other; differences teacher - student.

    Accuracies and probabilities are between 0 and 1. An `_error` is the standard error
    of the difference, paired, over samples; NaN for one sample.
    """

    teacher_accuracy: float
    student_accuracy: float
    accuracy_difference: float
    accuracy_error: float
    teacher_target_probability: float
    student_target_probability: float
    target_probability_difference: float
    target_probability_error: float


@dataclasses.dataclass(frozen=True)
class RankAgreement:
    """The Kendall rank correlation (KRC) between the logits of two models.

    `histogram` counts positions in 20 bins over [-1, 1], each from its lower edge. For
    two models of one modality, `above_across` is the mean minus the mean across
    modalities, `above_across_error` its standard error, paired, over samples.
    """

    mean: float
    standard_deviation: float
    above_zero: float
    histogram: tuple[int, ...]
    above_across: float = 0.0
    above_across_error: float = 0.0


@dataclasses.dataclass(frozen=True)
class Misalignment:
    """How differently the two rank the classes.

    `across` is teacher against student; `within_teacher` and `within_student` are two
    models of one modality, or `None`. Divergences are means in nats, over the classes
    other than the label.
    """

    across: RankAgreement
    within_teacher: RankAgreement | None
    within_student: RankAgreement | None
    teacher_to_student_kl: float
    student_to_teacher_kl: float


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Shares of samples; the last four sum to 1."""

    same_prediction: float
    both_right: float
    only_teacher_right: float
    only_student_right: float
    neither_right: float


@dataclasses.dataclass(frozen=True)
class ModalityGap:
    """What `measure_modality_gap` found; `print` it to read it.

    `samples` have both modalities and a label; `incomplete` ones were left out.
    `positions` is how many rows of logits there were: `samples`, or labelled pixels,
    over which all shares and means are taken.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.diagnostics import measure_modality_gap
    >>> def net():
    ...     inputs = keras.Input((3,))
    ...     return keras.Model(inputs, keras.layers.Identity()(inputs))
    >>> data = {"depth": 4 * np.eye(3), "rgb": 4 * np.eye(3)}
    >>> names = {"teacher_modality": "depth", "student_modality": "rgb"}
    >>> gap = measure_modality_gap(net(), net(), data, np.arange(3), **names)
    >>> gap.agreement.both_right, gap.to_dict()["agreement"]["both_right"]
    (1.0, 1.0)
    """

    teacher_modality: str
    student_modality: str
    num_classes: int
    samples: int
    incomplete: int
    positions: int
    imbalance: Imbalance
    misalignment: Misalignment
    agreement: Agreement

    def to_dict(self) -> dict[str, Any]:
        """Nested dicts of numbers, lists and `None` (also for NaN), ready for JSON."""
        return _plain(dataclasses.asdict(self))

    def headline(self) -> dict[str, float]:
        """The few figures worth a curve over training."""
        return {
            "accuracy": self.imbalance.accuracy_difference,
            "target_probability": self.imbalance.target_probability_difference,
            "krc": self.misalignment.across.mean,
            "krc_above_zero": self.misalignment.across.above_zero,
            "agreement": self.agreement.same_prediction,
            "only_teacher_right": self.agreement.only_teacher_right,
        }

    def __str__(self) -> str:
        return describe(self)


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
