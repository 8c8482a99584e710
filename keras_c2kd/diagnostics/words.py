"""A modality gap in words, which claim no more than the numbers carry."""

from typing import Any

# Of the central limit theorem's rule of thumb; below it no difference is claimed.
FEWEST_SAMPLES = 30


def describe(gap: Any) -> str:
    """A few lines on a `ModalityGap`."""
    lines = [_counts(gap), _imbalance(gap), _misalignment(gap), _agreement(gap)]
    return "\n".join([*lines, f"For C2KD: {_hint(gap)}"])


def sign(gap: Any, difference: float, error: float) -> int:
    """1 or -1 where a difference is more than twice its standard error, else 0.

    Yates's correction, one sample less, keeps four samples that happen to differ in
    the same direction from passing for a difference.
    """
    excess = abs(difference) - 1 / gap.positions
    if gap.samples < FEWEST_SAMPLES or not excess > 2 * error:
        return 0
    return 1 if difference > 0 else -1


def _counts(gap):
    line = f"Teacher on {gap.teacher_modality}, student on {gap.student_modality}: "
    line += f"{gap.samples:,} sample{'s' * (gap.samples != 1)}, "
    line += f"{gap.num_classes} classes"
    if gap.positions != gap.samples:
        line += f", {gap.positions:,} labelled positions"
    if gap.incomplete:
        line += f"; {gap.incomplete:,} that lack a modality are left out"
    if gap.samples < FEWEST_SAMPLES:
        line += f". Fewer than {FEWEST_SAMPLES} samples: no difference is claimed"
    return f"{line}."


def _imbalance(gap):
    of = gap.imbalance
    verdict = {
        1: "The teacher is stronger.",
        -1: "The student is stronger.",
        0: "Neither is clearly stronger.",
    }[sign(gap, of.accuracy_difference, of.accuracy_error)]
    error = f" with a standard error of {100 * of.accuracy_error:.1f}"
    error = error if gap.samples > 1 else ""
    return (
        f"Imbalance: accuracy {_percent(of.teacher_accuracy)} (teacher) and "
        f"{_percent(of.student_accuracy)} (student), a difference of "
        f"{100 * of.accuracy_difference:+.1f} points{error}; mean target probability "
        f"{of.teacher_target_probability:.2f} and {of.student_target_probability:.2f}. "
        f"{verdict}"
    )


def _misalignment(gap):
    of = gap.misalignment
    within = [
        (modality, krc)
        for modality, krc in (
            (gap.teacher_modality, of.within_teacher),
            (gap.student_modality, of.within_student),
        )
        if krc is not None
    ]
    line = (
        f"Misalignment: mean KRC {of.across.mean:.2f} (standard deviation "
        f"{of.across.standard_deviation:.2f}) across modalities"
    )
    for modality, krc in within:
        line += f", {krc.mean:.2f} within {modality}"
    return (
        f"{line}. {_comparison(gap, within)} Non-target divergence "
        f"{of.teacher_to_student_kl:.2f} nats from teacher to student, "
        f"{of.student_to_teacher_kl:.2f} back."
    )


def _comparison(gap, within):
    if not within:
        return (
            "Without a second net of a modality (`references`) it stays open what of "
            "this is the modality and what is the noise of training."
        )
    signs = [sign(gap, krc.above_across, krc.above_across_error) for _, krc in within]
    less = [modality for (modality, _), s in zip(within, signs, strict=True) if s == 1]
    rest = [modality for (modality, _), s in zip(within, signs, strict=True) if s != 1]
    sentences = []
    if less:
        sentences.append(f"Ranks agree less across than within {' and '.join(less)}.")
    if rest:
        sentences.append(f"Not clearly less across than within {' and '.join(rest)}.")
    return " ".join(sentences)


def _agreement(gap):
    of = gap.agreement
    line = (
        f"Agreement: the same class for {_percent(of.same_prediction)}; both right "
        f"{_percent(of.both_right)}, only the teacher "
        f"{_percent(of.only_teacher_right)}, only the student "
        f"{_percent(of.only_student_right)}, neither {_percent(of.neither_right)}."
    )
    known = of.both_right + of.only_teacher_right
    if known > 0:
        share = _percent(of.only_teacher_right / known)
        line += f" Of what the teacher gets right the student misses {share}."
    return line


def _hint(gap):
    if gap.num_classes == 2:
        return (
            "of two classes one is not the target, so nothing can cross by the "
            'non-target classes; OFSD(classes="all") lets the target in.'
        )
    above = gap.misalignment.across.above_zero
    share = f"KRC is above 0 for {_percent(above)}"
    if gap.samples >= FEWEST_SAMPLES and above >= 0.95:
        share += ": a selection at threshold 0 lets nearly everything through"
    elif gap.samples >= FEWEST_SAMPLES and above <= 0.05:
        share += ": a selection at threshold 0 lets nearly nothing through"
    else:
        share += ", which is what a selection at threshold 0 lets through"
    return f"{share}, if the proxies rank the classes as these models do."


def _percent(share):
    return f"{100 * share:.1f} %"
