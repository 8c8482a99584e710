"""The figures of a contest's report: small, so that a phone shows them readably."""

import base64
import io
from itertools import cycle
from textwrap import fill

import numpy as np
from matplotlib import colormaps, rc_context
from matplotlib.figure import Figure
from matplotlib.image import imsave
from matplotlib.ticker import MaxNLocator
from methods import METHODS

WIDTH = 3.2  # inches; 307 pixels, what a phone has room for without scaling letters
STYLE = {
    "font.size": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 9,
    "axes.spines.right": False,
    "grid.alpha": 0.3,
    "legend.fontsize": 9,
    "legend.columnspacing": 1.0,
    "legend.handlelength": 1.5,
    "legend.frameon": False,
    "svg.hashsalt": "contest",  # the same figure, the same bytes
}

# Okabe-Ito and Tol's muted colours, told apart without seeing red and green; lines of
# one colour family differ in their dashes too.
_COLOURS = {
    "alone": ("#000000", "-"),
    "kd": ("#0072B2", "-"),
    "c2kd": ("#D55E00", "-"),
    "dkd": ("#56B4E9", "--"),
    "dist": ("#009E73", "-"),
    "nkd": ("#CC79A7", "-"),
    "rkd": ("#E69F00", "--"),
    "dml": ("#332288", "-."),
    "fitnets": ("#117733", "--"),
    "shake": ("#882255", "-"),
    "fdcmkd": ("#999933", "-."),
    "ucmkd": ("#88CCEE", ":"),
}


_OTHERS = [method for method in METHODS if method not in _COLOURS]
_DARK = [*colormaps["tab10"].colors, *colormaps["Dark2"].colors]


def colour(method):
    """The same one in every figure."""
    if method in _OTHERS:
        return _DARK[_OTHERS.index(method) % len(_DARK)]
    return _COLOURS[method][0]


def dashes(method):
    return "--" if method in _OTHERS else _COLOURS[method][1]


def figure(height):
    return Figure(figsize=(WIDTH, height), layout="constrained")


def legend_below(result, axis):
    """In as many columns as its words leave room for, on a taller figure."""
    _, labels = axis.get_legend_handles_labels()
    columns = min(3, max(1, 44 // (6 + max(map(len, labels)))))
    rows = -(-len(labels) // columns)
    result.set_figheight(result.get_figheight() + 0.21 * rows)
    result.legend(loc="outside lower center", ncols=columns)


def name_rows(axis, methods):
    titles = [fill(METHODS[method].title, width=15) for method in methods]
    axis.set_yticks(range(len(methods)), titles)
    axis.invert_yaxis()


def as_svg(draw, *arguments) -> str:
    """A data URI of what `draw(*arguments)` returns."""
    with rc_context(STYLE):
        file = io.BytesIO()
        draw(*arguments).savefig(file, format="svg", metadata={"Date": None})
    return data_uri("image/svg+xml", file.getvalue())


def as_png(pixels, colour_map=None) -> str:
    """A data URI of an array of pixels."""
    file = io.BytesIO()
    imsave(file, pixels, format="png", cmap=colour_map)
    return data_uri("image/png", file.getvalue())


def data_uri(kind, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def dots(scores, label):
    """A line per method: a dot for every seed, a bar for their mean.

    Args:
        scores: method to its scores in percent, one per seed.
        label: of the axis.
    """
    result = figure(height=0.7 + 0.32 * len(scores))
    axis = result.subplots()
    for row, (method, values) in enumerate(scores.items()):
        # Seeds one above the other, in their order, so that equal ones are seen.
        shift = np.linspace(-0.2, 0.2, len(values)) if len(values) > 1 else [0.0]
        paint = {"color": colour(method)}
        axis.plot(values, row + np.array(shift), "o", ms=4, alpha=0.7, mew=0, **paint)
        axis.plot([np.mean(values)] * 2, [row - 0.33, row + 0.33], lw=2.5, **paint)
    name_rows(axis, scores)
    axis.set_xlabel(label)
    return result


ANSWERS = {
    "both_right": ("both right", "#009E73"),
    "only_teacher_right": ("only the teacher", "#56B4E9"),
    "only_student_right": ("only the student", "#E69F00"),
    "neither_right": ("neither", "#BBBBBB"),
}


def answers(shares, label):
    """A bar per method: whom it leaves right.

    Args:
        shares: method to percent by name, those of `ANSWERS`.
        label: of the axis.
    """
    result = figure(height=0.7 + 0.32 * len(shares))
    axis = result.subplots()
    methods, left = list(shares), np.zeros(len(shares))
    for name, (words, paint) in ANSWERS.items():
        widths = np.array([shares[method][name] for method in methods])
        axis.barh(range(len(methods)), widths, left=left, color=paint, label=words)
        left += widths
    name_rows(axis, methods)
    axis.set(xlabel=label, xlim=(0, 100))
    legend_below(result, axis)
    return result


def cumulative(series, unit):
    """Distributions of rank correlations, each as a curve that rises to 100 %.

    Args:
        series: counts in equal bins over [-1, 1], by method for its student and the
            teacher, by any other name for two nets of one modality.
        unit: what is counted, in words.
    """
    result = figure(height=2.3)
    axis = result.subplots()
    grey = cycle([("#777777", "--"), ("#777777", ":")])
    for name, counts in series.items():
        if name in METHODS:
            label = f"teacher and {METHODS[name].title}"
            paint = colour(name), dashes(name)
        else:
            label, paint = name, next(grey)
        reached = 100 * np.cumsum([0, *counts]) / np.sum(counts)
        edges = np.linspace(-1.0, 1.0, len(reached))
        axis.plot(edges, reached, label=label, color=paint[0], ls=paint[1])
    axis.set(xlabel="rank correlation (KRC)", title=f"test {unit} at or below it (%)")
    legend_below(result, axis)
    return result


def curves(series, label, limits=None):
    """Means over seeds by epoch, a line per method.

    Args:
        series: method to values `(seeds, epochs)`.
        label: of the vertical axis, above it.
        limits: of that axis.
    """
    result = figure(height=2.3)
    axis = result.subplots()
    for method, values in series.items():
        mean = np.mean(values, axis=0)
        epochs = np.arange(1, len(mean) + 1)
        paint = {"color": colour(method), "ls": dashes(method)}
        marker = "o" if len(mean) < 3 else ""
        axis.plot(
            epochs, mean, lw=1.5, marker=marker, label=METHODS[method].title, **paint
        )
    axis.set(title=label, ylim=limits)
    of_epochs(axis, len(mean))
    legend_below(result, axis)
    return result


def of_epochs(axis, epochs):
    axis.set(xlabel="epoch", xlim=(0.5, epochs + 0.5))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def histogram_over_epochs(share, edges, unit):
    """Where the rank correlations are, epoch by epoch.

    Args:
        share: percent, `(epochs, bins)`.
        edges: of the bins.
        unit: what is counted, in words.
    """
    result = figure(height=2.5)
    axis = result.subplots()
    extent = (0.5, len(share) + 0.5, edges[0], edges[-1])
    image = axis.imshow(
        np.transpose(share),
        origin="lower",
        aspect="auto",
        extent=extent,
        cmap="cividis",
    )
    axis.axhline(0.0, color="white", lw=0.8, ls="--")
    axis.grid(False)
    axis.set_ylabel("rank correlation (KRC)")
    of_epochs(axis, len(share))
    result.colorbar(image, label=f"validation {unit} (%)")
    return result


def short(name, most=16):
    """A class's name as a label of an axis."""
    name = name.replace("_", " ")
    name = name if len(name) <= most else name[: most - 1].rstrip() + "\u2026"
    return name.replace("$", r"\$")  # which begins a formula in a label


def confusion(counts, classes):
    """Rows are labels, in percent of their samples.

    Args:
        counts: `(C, C)`.
        classes: their names; left out where they are many.
    """
    named = len(classes) <= 12
    ticks = [short(name) for name in classes]
    result = figure(height=3.75)
    axis = result.subplots()
    total = np.maximum(np.sum(counts, axis=1, keepdims=True), 1)
    image = axis.imshow(
        100 * np.asarray(counts) / total, cmap="cividis", vmin=0, vmax=100
    )
    if named:
        axis.set_xticks(range(len(classes)), ticks, rotation=90)
        axis.set_yticks(range(len(classes)), ticks)
    axis.grid(False)
    axis.set(xlabel="predicted class", ylabel="true class")
    result.colorbar(image, label="of the true class (%)", location="bottom")
    return result
