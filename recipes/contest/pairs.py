"""Test samples with what the models say of them, for a contest's report."""

from html import escape

import numpy as np
from methods import METHODS

from contest import figures
from contest import page as html
from contest.folder import DATA, Cell
from contest.sections import shown
from contest.tables import arrow

VOID = 255
NOTE = (
    "Spaced evenly over the test set in the order of its classes, not chosen by what "
    "any model says; the models are those of the first seed."
)


def sample_pairs(results, data) -> str:
    """A card for each sample of `data`, by direction."""
    with np.load(results.contest.at(DATA) / "pairs.npz") as file:
        arrays = {name: file[name] for name in file.files}
    parts = [html.paragraph(NOTE)]
    for pair in results.directions:
        said = what_is_said(results, pair, shown(results, pair))
        cards = [card(i, pair, data, arrays, said) for i in range(len(data["pairs"]))]
        parts += [html.subtitle(arrow(pair).capitalize()), html.grid(cards)]
    return "".join(parts)


def what_is_said(results, pair, methods) -> dict:
    """Who says it, to `predicted` and `probability` of every sample."""
    seed = results.plan.seeds[0]
    cells = {f"teacher ({pair[0]})": Cell(*pair, "teacher", seed)}
    for method in methods:
        cell = Cell(*pair, method, seed, results.chosen[pair, method])
        cells[METHODS[method].title] = cell
    said = {}
    for name, cell in cells.items():
        with np.load(results.contest.at(cell) / "pairs.npz") as file:
            said[name] = file["predicted"], file["probability"]
    return said


def card(i, pair, data, arrays, said) -> str:
    shown = "".join(
        f"<div>{view(i, name, data, arrays)}{escape(name)}</div>" for name in pair
    )
    label = arrays["labels"][i]
    classes = [name.replace("_", " ") for name in data["classes"]]
    verdicts = (
        maps(i, label, said) if np.ndim(label) else words(i, label, classes, said)
    )
    return (
        f'<figure><div class="pair">{shown}</div>{verdicts}'
        f"<figcaption>{escape(data['pairs'][i])}</figcaption></figure>\n"
    )


def view(i, name, data, arrays) -> str:
    """What a model sees of one modality."""
    if name in data["texts"]:
        return f"<blockquote>{escape(data['texts'][name][i])}</blockquote>"
    values, kind = arrays[f"input_{name}"][i], data["kinds"][name]
    alt = f"{name} of test sample {data['pairs'][i]}"
    if kind == "frames":
        values = values[len(values) // 2] if values.ndim == 4 else values
    if kind == "spectrogram":
        return html.image(figures.as_png(values[::-1, :, 0], "magma"), alt)
    if values.shape[-1] == 1:
        return html.image(figures.as_png(values[..., 0], "gray"), alt)
    return html.image(figures.as_png(np.clip(values / 255, 0, 1)), alt)


def words(i, label, classes, said) -> str:
    """The true class, and for each model its class with its probability."""
    lines = [f"<li>true class: <b>{escape(classes[label])}</b></li>"]
    for name, (predicted, probability) in said.items():
        right = "right" if predicted[i] == label else "wrong"
        text = f"{name}: {classes[predicted[i]]}, {100 * probability[i]:.0f}\u00a0%"
        lines.append(f'<li class="{right}">{escape(text)}</li>')
    return f'<ul class="says">{"".join(lines)}</ul>'


def maps(i, label, said) -> str:
    """The true classes of all pixels, and those that each model predicts."""
    found = {"true classes": label}
    found |= {name: predicted[i] for name, (predicted, _) in said.items()}
    images = {
        name: html.image(figures.as_png(painted(classes, label)), name)
        for name, classes in found.items()
    }
    parts = (f"<div>{image}{escape(name)}</div>" for name, image in images.items())
    return f'<div class="maps">{"".join(parts)}</div>'


def painted(classes, label):
    """A colour per class; black where there is no label."""
    from matplotlib import colormaps

    pixels = colormaps["tab20"](classes % 20)[..., :3]
    return np.where((label == VOID)[..., None], 0.0, pixels)
