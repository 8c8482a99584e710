"""The table of a contest: printed, as Markdown, as CSV."""

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from files import write_aside
from methods import METHODS, PAPER

from contest.paired import Difference, deviation
from contest.results import BASELINES, Row


def arrow(direction) -> str:
    return f"{direction[0]} teaches {direction[1]}"


def headline(task) -> str:
    return task.columns[task.headline]


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Every figure in full; scores are shares of 1."""
    statistics = [field.name for field in dataclasses.fields(Difference)]
    names = ["teacher", "student", "method", "setting", "figure"]
    names += ["seeds", "diverged", "scores", "mean", "deviation"]
    names += [f"minus_{base}_{name}" for base in BASELINES for name in statistics]

    def write(file):
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        for row in rows:
            line = dict(zip(("teacher", "student"), row.direction, strict=True))
            line |= {"method": row.method, "setting": row.setting}
            line |= {"figure": row.figure, "seeds": len(row.scores)}
            line |= {"diverged": row.diverged}
            line |= {"scores": " ".join(map(str, row.scores))}  # by seed
            if row.scores:
                line |= {"mean": float(np.mean(row.scores))}
                line |= {"deviation": deviation(row.scores)}
            for base, found in row.against.items():
                values = dataclasses.asdict(found)
                line |= {f"minus_{base}_{k}": value for k, value in values.items()}
            writer.writerow(line)

    write_aside(path, write)


def grid(rows: Sequence[Row], task) -> tuple[list[str], list[list[str]]]:
    """Headings, and the headline figure of every method, for a person to read."""
    bases = [base for base in BASELINES if any(base in row.against for row in rows)]
    heads = ["direction", "method", "seeds", f"{task.columns[task.headline]} (%)"]
    for base in bases:
        title = METHODS[base].title
        heads += [f"minus {title} (95 %)", "p", "w/t/l", "verdict"]
    lines = []
    for row in rows:
        if row.figure != task.headline:
            continue
        seeds = f"{row.diverged} diverged" if row.diverged else str(len(row.scores))
        line = [arrow(row.direction), title_of(row), seeds]
        line += [mean_and_deviation(row.scores)]
        for base in bases:
            line += words(row.against.get(base))
        lines.append(line)
    return heads, lines


def title_of(row) -> str:
    title = METHODS[row.method].title
    return title if row.setting == PAPER else f"{title} ({row.setting})"


def mean_and_deviation(scores) -> str:
    if not scores:
        return ""
    spread = deviation(scores)
    text = f"{100 * np.mean(scores):.1f}"
    return text if spread is None else f"{text} ± {100 * spread:.1f}"


def words(found: Difference | None) -> list[str]:
    """A difference in points."""
    if found is None:
        return [""] * 4
    text = f"{100 * found.mean:+.1f}"
    if found.low is not None:
        text += f" ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
    return [
        text,
        probability(found.p),
        f"{found.wins}/{found.ties}/{found.losses}",
        found.verdict,
    ]


def probability(p: float | None) -> str:
    """With the digits that tell it from the 0.05 of a verdict."""
    if p is None:
        return ""
    return "< 0.01" if p < 0.01 else f"{p:.{3 if p < 0.1 else 2}f}"


def markdown(heads: list[str], lines: list[list[str]]) -> str:
    rule = ["---"] * len(heads)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [heads, rule, *lines])


def plain(heads: list[str], lines: list[list[str]]) -> str:
    """In columns, for a terminal."""
    columns = list(zip(heads, *lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [heads, *lines]
    )


LEGEND = """\
Figures on {split}, of the epoch that was best on validation: mean ± standard deviation
over seeds. Differences are in points, paired by seed: mean, 95 % bootstrap interval, p
of a paired t-test, and wins/ties/losses over seeds. "better" and "worse": the interval
leaves out 0 and p < 0.05; nothing is corrected for the number of comparisons, of which
one in twenty is such by chance. With fewer than five seeds nothing is judged. A method
whose loss or gradient was no number with some seeds has diverged, and has no figures.
"""
