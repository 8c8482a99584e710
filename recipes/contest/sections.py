"""The figures of a contest's report, with captions and texts in their stead."""

import numpy as np
from methods import METHODS

from contest import figures
from contest import page as html
from contest.tables import arrow, headline

SHOWN = ("alone", "kd", "c2kd")  # where there is no room for all methods


def shown(results, pair) -> list[str]:
    """The methods that figures without room for all of them show."""
    methods = results.methods(pair)
    return [m for m in SHOWN if m in methods] or methods[:3]


def accuracies(results) -> str:
    return html.grid(accuracy(results, pair) for pair in results.directions)


def accuracy(results, pair) -> str:
    task = results.task
    scores = {
        method: [100 * s for s in results.scores(pair, method, task.headline)]
        for method in results.methods(pair)
    }
    label = f"test {headline(task)} (%)"
    said = "; ".join(f"{METHODS[m].title} {np.mean(v):.1f}" for m, v in scores.items())
    return html.figure(
        figures.as_svg(figures.dots, scores, label),
        f"{label} where {arrow(pair)}, mean over seeds: {said}",
        f"{arrow(pair).capitalize()}: a dot is one seed, the bar their mean; seeds are "
        "in the same order from top to bottom.",
    )


def learning(results) -> str:
    """Curves on validation."""
    monitor, name = results.task.monitor, headline(results.task)
    parts = []
    for pair in results.directions:
        series = {
            method: 100 * results.logged(pair, method, monitor)
            for method in results.methods(pair)
        }
        last = "; ".join(
            f"{METHODS[m].title} {values[:, -1].mean():.1f}"
            for m, values in series.items()
        )
        parts.append(
            html.figure(
                figures.as_svg(figures.curves, series, f"validation {name} (%)"),
                f"Learning curves where {arrow(pair)}; {name} on validation in the "
                f"last epoch: {last}",
                f"{arrow(pair).capitalize()}: {name} on validation after every epoch, "
                "mean over seeds.",
            )
        )
    return html.grid(parts)


def selection(results) -> str:
    """For methods that select samples by rank correlation."""
    parts = []
    for pair in results.directions:
        series = {
            method: 100 * results.logged(pair, method, "selected")
            for method in results.methods(pair)
            if results.logs(pair, method, "selected")
        }
        if series:
            parts.append(fraction_selected(pair, series, results.task.unit))
        parts += [krc_over_training(results, pair, method) for method in series]
    if parts:
        return html.grid(parts)
    return html.paragraph("None of these methods selects samples by rank correlation.")


def fraction_selected(pair, series, unit) -> str:
    said = "; ".join(
        f"{METHODS[m].title} from {v[:, 0].mean():.0f} to {v[:, -1].mean():.0f}"
        for m, v in series.items()
    )
    return html.figure(
        figures.as_svg(
            figures.curves, series, f"selected training {unit} (%)", (-5, 105)
        ),
        f"Percentage of training {unit} selected where {arrow(pair)}: {said}",
        f"{arrow(pair).capitalize()}: how much of each training epoch crossed between "
        "the modalities, mean over seeds.",
    )


def krc_over_training(results, pair, method) -> str:
    found = [r["krc_histogram"] for r in results.of(pair, method)]
    counts, edges = np.array([f["counts"] for f in found]), found[0]["edges"]
    share = counts.mean(axis=0)
    share = 100 * share / np.maximum(share.sum(axis=1, keepdims=True), 1)
    first, last = (median(share[epoch], edges) for epoch in (0, -1))
    name = METHODS[method].title
    return html.figure(
        figures.as_svg(figures.histogram_over_epochs, share, edges, results.task.unit),
        f"Histogram of rank correlations over epochs, {name}, {arrow(pair)}: "
        f"median {first:.1f} after the first epoch, {last:.1f} after the last",
        f"{arrow(pair).capitalize()}, {name}: how alike teacher and student rank the "
        "classes (1: the same order, 0: none), epoch by epoch.",
    )


def median(share, edges) -> float:
    """Of a histogram: the middle of the bin where half of it is reached."""
    bin = np.searchsorted(np.cumsum(share), 50.0)
    return (edges[bin] + edges[bin + 1]) / 2


def gaps(results) -> str:
    """What `keras_c2kd.diagnostics` says of teacher and students on test."""
    return "".join(
        html.subtitle(arrow(pair).capitalize())
        + before_in_words(results, pair)
        + html.grid([rank_correlations(results, pair), who_is_right(results, pair)])
        for pair in results.directions
    )


def before_in_words(results, pair) -> str:
    before = before_distillation(results, pair)
    if before is None:
        return html.paragraph(
            "Of the modalities before distillation nothing is known: the student "
            "alone took no part."
        )
    lines = ["Teacher and student, both trained on labels alone:"]
    return "".join(map(html.paragraph, lines + before["words"].splitlines()))


def before_distillation(results, pair):
    """The gap to the student alone, against second nets where there are some."""
    if "alone" not in results.plan.methods:
        return None
    return results.gaps.get(pair) or results.of(pair, "alone")[0]


def rank_correlations(results, pair) -> str:
    series = {
        method: np.sum(
            [r["gap"]["misalignment"]["across"]["histogram"] for r in found], axis=0
        )
        for method in shown(results, pair)
        if (found := results.of(pair, method))
    }
    means = {
        f"teacher and {METHODS[method].title}": np.mean(
            [
                r["gap"]["misalignment"]["across"]["mean"]
                for r in results.of(pair, method)
            ]
        )
        for method in series
    }
    before = before_distillation(results, pair)
    for role, modality in zip(("teacher", "student"), pair, strict=True):
        within = before and before["gap"]["misalignment"][f"within_{role}"]
        if within:
            series[f"two nets of {modality}"] = within["histogram"]
            means[f"two nets of {modality}"] = within["mean"]
    said = "; ".join(f"{name} {mean:.2f}" for name, mean in means.items())
    return html.figure(
        figures.as_svg(figures.cumulative, series, results.task.unit),
        f"Distribution of rank correlations where {arrow(pair)}, means: {said}",
        f"{arrow(pair).capitalize()}, misalignment: how alike two models rank the "
        f"classes of test {results.task.unit}; further right is more alike. The "
        "teacher is as it was pre-trained.",
    )


def who_is_right(results, pair) -> str:
    shares = {
        method: {
            name: 100 * np.mean([r["gap"]["agreement"][name] for r in found])
            for name in figures.ANSWERS
        }
        for method in results.methods(pair)
        if (found := results.of(pair, method))
    }
    said = "; ".join(
        f"{METHODS[method].title} {of['only_teacher_right']:.1f}"
        for method, of in shares.items()
    )
    return html.figure(
        figures.as_svg(figures.answers, shares, f"test {results.task.unit} (%)"),
        f"Percentage that only the teacher gets right where {arrow(pair)}: {said}",
        f"{arrow(pair).capitalize()}, agreement: who gets what right, mean over seeds. "
        "What only the teacher knows is what a student could still learn.",
    )


def confusions(results, data) -> str:
    return html.grid(
        one_confusion(results, data, pair, method)
        for pair in results.directions
        for method in shown(results, pair)
    )


def one_confusion(results, data, pair, method) -> str:
    counts = sum(np.array(r["confusion"]) for r in results.of(pair, method))
    name, classes = METHODS[method].title, data["classes"]
    off = counts - np.diag(np.diag(counts))
    true, taken = np.unravel_index(off.argmax(), off.shape)
    worst = f"most often {classes[true]} is taken for {classes[taken]}"
    return html.figure(
        figures.as_svg(figures.confusion, counts, classes),
        f"Confusion matrix of {name} where {arrow(pair)}; "
        f"{worst if off.any() else 'nothing is taken for anything else'}",
        f"{arrow(pair).capitalize()}, {name}: test {results.task.unit} of each true "
        "class (row) by the predicted class (column), all seeds together.",
    )
