"""What a run leaves behind: log.csv, results.json, curves, and the printed table."""

import csv

import keras
import numpy as np
from files import write_aside, write_json

AGREEMENT = {"krc": "KRC", "selected": "sel."}


class Log:
    """One row per epoch of every training, in one file that is never half-written.

    A file that is there is gone on with.
    """

    def __init__(self, path):
        self.path, self.rows = path, []
        if path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                self.rows = [as_numbers(row) for row in csv.DictReader(file)]

    def cut(self, model, seed, epoch):
        """Leaves out what was logged from an epoch on: it is trained once more."""
        self.rows = [
            row
            for row in self.rows
            if (row["model"], row["seed"]) != (model, seed) or row["epoch"] < epoch
        ]

    def callback(self, model, seed):
        """A callback that adds the epochs of one training."""

        def add(epoch, logs):
            figures = {name: float(value) for name, value in logs.items()}
            self.rows.append({"model": model, "seed": seed, "epoch": epoch, **figures})
            self.write()

        return keras.callbacks.LambdaCallback(on_epoch_end=add)

    def write(self):
        names = list(dict.fromkeys(name for row in self.rows for name in row))

        def rows(file):
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(self.rows)

        write_aside(self.path, rows)


def as_numbers(row):
    """A row as it was before it was written: CSV keeps floats to the bit."""
    whole = {"seed": int, "epoch": int, "model": str}
    return {k: whole.get(k, float)(text) for k, text in row.items() if text != ""}


def write_results(folder, results, parts, task, provenance):
    """Scores on test by model and seed, with what is needed to judge them."""
    content = {
        "results": results,
        "summary": {model: summary(scores) for model, scores in results.items()},
        "difference": difference(results, task),
        "samples": {name: len(part) for name, part in parts.items()},
        "classes": list(parts["train"].class_names),
        "skipped": {name: part.skipped for name, part in parts.items()},
        "notes": {name: list(part.notes) for name, part in parts.items()},
        "provenance": provenance,
    }
    write_json(folder / "results.json", content)


def summary(scores):
    """Mean and standard deviation over seeds of each figure."""
    return {
        name: {
            "mean": float(np.mean([s[name] for s in scores])),
            "deviation": deviation([s[name] for s in scores]),
        }
        for name in scores[0]
    }


def difference(results, task):
    """C2KD minus the student alone, seed by seed, in the task's headline figure."""
    pairs = zip(results.get("C2KD", []), results["student alone"], strict=False)
    return [ours[task.headline] - alone[task.headline] for ours, alone in pairs]


def deviation(values):
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def table(results, teacher, student, task):
    """The figures of a run for a person to read."""
    names = {"teacher": f"teacher ({teacher})", "student alone": f"{student} alone"}
    names["C2KD"] = f"{student} with C2KD"
    columns = {**task.columns, **AGREEMENT}
    lines = ["", f"{'test':<18}" + "".join(f"{c:>15}" for c in columns.values())]
    for model, scores in results.items():
        cells = "".join(f"{cell(scores, name):>15}" for name in columns)
        lines.append(f"{names[model]:<18}{cells}")
    lines += ["", verdict(difference(results, task), task), LEGEND]
    return "\n".join(lines)


LEGEND = (
    "KRC, sel.: mean rank correlation and share of test samples above the threshold,\n"
    "of the two proxies (C2KD), or of the logits of teacher and student (alone)."
)


def cell(scores, name):
    """`mean +- deviation`, in percent where it is a share."""
    if name not in scores[0]:
        return "-"
    values = [s[name] for s in scores]
    factor, digits = (1, 3) if name == "krc" else (100, 1)
    text = f"{factor * np.mean(values):.{digits}f}"
    if len(values) > 1:
        text += f" +- {factor * deviation(values):.{digits}f}"
    return text


def verdict(differences, task):
    """The difference, and whether it is more than chance (paired t-test)."""
    mean = 100 * np.mean(differences)
    text = f"C2KD minus the student alone: {mean:+.1f} points of "
    text += task.columns[task.headline]
    if len(differences) < 5:
        return f"{text} on {len(differences)} seed(s); use --seeds=5 to judge it."
    from scipy.stats import ttest_1samp

    p = ttest_1samp(differences, 0.0).pvalue
    judged = "significant" if p < 0.05 else "not significant"
    spread = 100 * deviation(differences)
    return f"{text} (+- {spread:.1f}, paired t-test p = {p:.2f}: {judged})."


def draw_curves(rows, path, task):
    """The validation figure of the three models, and what the selection does."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    colours = {"teacher": "tab:gray", "student alone": "tab:blue", "C2KD": "tab:orange"}
    for model, colour in colours.items():
        epochs, mean = over_seeds(rows, model, task.monitor)
        left.plot(epochs, 100 * mean, color=colour, label=model)
        for seed in sorted({r["seed"] for r in rows if r["model"] == model}):
            one = [r for r in rows if r["model"] == model and r["seed"] == seed]
            values = [100 * r[task.monitor] for r in one]
            left.plot(epochs, values, color=colour, alpha=0.25, linewidth=0.8)
    left.set(xlabel="epoch", ylabel=f"validation {task.columns[task.headline]} (%)")
    for name, colour in (("krc", "tab:purple"), ("selected", "tab:green")):
        for prefix, style in (("", "-"), ("val_", "--")):
            epochs, mean = over_seeds(rows, "C2KD", prefix + name)
            label = f"{name}, {'validation' if prefix else 'training'}"
            right.plot(epochs, mean, style, color=colour, label=label)
    right.set(
        xlabel="epoch", ylabel="proxies of teacher and student", ylim=(-0.05, 1.05)
    )
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
        axis.xaxis.get_major_locator().set_params(integer=True)
    write_aside(path, lambda file: figure.savefig(file, dpi=120), mode="wb")
    plt.close(figure)


def over_seeds(rows, model, name):
    """Epochs from 1, and the mean over seeds of a figure."""
    chosen = [r for r in rows if r["model"] == model]
    epochs = sorted({r["epoch"] for r in chosen})
    values = [[r[name] for r in chosen if r["epoch"] == e] for e in epochs]
    return [e + 1 for e in epochs], np.array([np.mean(v) for v in values])
