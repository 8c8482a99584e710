"""measure_modality_gap: imbalance, misalignment and agreement of two models."""

import dataclasses
from typing import Any

import keras

from keras_c2kd.diagnostics.batches import batches, read
from keras_c2kd.diagnostics.report import (
    Agreement,
    Imbalance,
    Misalignment,
    ModalityGap,
    RankAgreement,
)
from keras_c2kd.diagnostics.scores import Scores


def measure_modality_gap(
    teacher: keras.Model,
    student: keras.Model,
    data: Any,
    labels: Any = None,
    *,
    teacher_modality: str,
    student_modality: str,
    references: tuple[keras.Model | None, keras.Model | None] = (None, None),
    batch_size: int = 32,
    ignore_class: int | None = None,
) -> ModalityGap:
    """How far apart two modalities are, seen through one model of each.

    Knowledge crosses badly between modalities where one knows much more than the other
    (imbalance) and where they rank the classes differently (misalignment). Two nets of
    one modality differ too, by the noise of training: given as `references`, they tell
    what of the misalignment is the modality.

        KRC(f_T, f_S) per sample, against KRC(f_T, f_T') and KRC(f_S, f_S')

    Each model runs once over the data, in inference mode. Standard errors are those of
    these samples; they say nothing of other training seeds.

    Args:
        teacher: A Keras model that returns logits `(B, ..., C)`, or a dict with
            `"logits"`.
        student: The same, for the same classes.
        data: `{modality: array}`, or a `tf.data.Dataset`, PyDataset or any iterable of
            `({modality: ...}, labels)` that ends. Samples that lack one of the two
            modalities by the entry `"present"` (modality to bool `(B,)`) are left out;
            sample weights are not used.
        labels: Integers `(N, ...)`, or one-hot `(N, ..., C)`, where `data` holds
            arrays. Of dense logits, positions with a label outside `0..C-1` (void) are
            left out.
        teacher_modality: Key of the teacher's input.
        student_modality: Key of the student's input.
        references: A second net of the teacher's modality and one of the student's,
            each may be `None`.
        batch_size: For arrays.
        ignore_class: A label that is left out, as by the loss in training.

    Returns:
        A `ModalityGap`. A row without a rank correlation (constant logits) counts as
        0, as in training.

    Raises:
        ValueError: no samples, data without end, labels out of range, different classes
            or shapes, logits that are not finite, probabilities in place of logits.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.diagnostics import measure_modality_gap
    >>> def net(width):
    ...     inputs = keras.Input((width,))
    ...     return keras.Model(inputs, keras.layers.Dense(3)(inputs))
    >>> data = {"depth": np.random.rand(40, 4), "rgb": np.random.rand(40, 6)}
    >>> gap = measure_modality_gap(
    ...     net(4),
    ...     net(6),
    ...     data,
    ...     np.arange(40) % 3,
    ...     teacher_modality="depth",
    ...     student_modality="rgb",
    ...     references=(net(4), net(6)),
    ... )
    >>> print(str(gap).splitlines()[0])
    Teacher on depth, student on rgb: 40 samples, 3 classes.
    >>> -1 <= gap.misalignment.across.mean <= 1
    True

    Reference:
        F. Huo, W. Xu, J. Guo, H. Wang, S. Guo, "C2KD: Bridging the Modality Gap for
        Cross-Modal Knowledge Distillation", CVPR 2024, for imbalance and misalignment.
        The batch size is that of `keras.Model.predict`.
    """
    models = {"teacher": teacher, "student": student}
    models |= _checked_references(references, models)
    modalities = {role: teacher_modality for role in ("teacher", "other_teacher")}
    modalities |= {role: student_modality for role in ("student", "other_student")}
    _check_models(models)
    scores = Scores()
    data = batches(data, labels, batch_size)
    for batch in read(models, modalities, data, ignore_class):
        scores.add(batch)
    _check_scores(scores, models)
    return ModalityGap(
        teacher_modality=teacher_modality,
        student_modality=student_modality,
        num_classes=scores.num_classes,
        samples=scores.samples,
        incomplete=scores.incomplete,
        positions=scores.positions,
        imbalance=_imbalance(scores),
        misalignment=_misalignment(scores),
        agreement=_agreement(scores),
    )


def _imbalance(scores):
    accuracy = scores.difference("teacher_right", "student_right")
    probability = scores.difference("teacher_probability", "student_probability")
    return Imbalance(
        teacher_accuracy=scores.mean("teacher_right"),
        student_accuracy=scores.mean("student_right"),
        accuracy_difference=accuracy[0],
        accuracy_error=accuracy[1],
        teacher_target_probability=scores.mean("teacher_probability"),
        student_target_probability=scores.mean("student_probability"),
        target_probability_difference=probability[0],
        target_probability_error=probability[1],
    )


def _misalignment(scores):
    return Misalignment(
        across=_rank_agreement(scores, "across"),
        within_teacher=_rank_agreement(scores, "within_teacher"),
        within_student=_rank_agreement(scores, "within_student"),
        teacher_to_student_kl=scores.mean("teacher_to_student_kl"),
        student_to_teacher_kl=scores.mean("student_to_teacher_kl"),
    )


def _rank_agreement(scores, pair):
    if pair not in scores.histograms:
        return None
    mean = scores.mean(pair)
    variance = scores.mean(f"{pair}_square") - mean**2
    above_across, error = scores.difference(pair, "across")
    return RankAgreement(
        mean=mean,
        standard_deviation=max(variance, 0.0) ** 0.5,
        above_zero=scores.mean(f"{pair}_above"),
        histogram=tuple(scores.histograms[pair].tolist()),
        above_across=above_across,
        above_across_error=error,
    )


def _agreement(scores):
    names = [field.name for field in dataclasses.fields(Agreement)]
    return Agreement(**{name: scores.mean(name) for name in names})


def _checked_references(references, models):
    """By role; a model compared with itself would pass for perfect agreement."""
    pair = isinstance(references, (tuple, list)) and len(references) == 2
    if not pair or any(r is model for r in references for model in models.values()):
        raise ValueError(
            "Expected `references` to be a pair: another net of the teacher's modality "
            "or None, and another of the student's or None. "
            f"Received: references={references!r}"
        )
    roles = zip(("other_teacher", "other_student"), references, strict=True)
    return {role: model for role, model in roles if model is not None}


def _check_models(models):
    for role, model in models.items():
        if not isinstance(model, keras.Model):
            raise ValueError(
                f"Expected the {role} to be a keras.Model. Received: {role}={model!r}"
            )


def _check_scores(scores, models):
    if not scores.samples:
        raise ValueError(
            "Expected at least one labelled sample with both modalities. Received: "
            f"none, and {scores.incomplete} that lack a modality"
        )
    for role in models:
        if scores.mean(f"{role}_normalized") == 1.0:
            raise ValueError(
                "Expected logits, without a final softmax: target probabilities and "
                "divergences of probabilities would be wrong without a sign of it. "
                f"Received: rows from 0 to 1 with a sum of 1 from the {role}, only such"
            )
