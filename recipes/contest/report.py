"""report.html of a contest: what came out, how it came about, what the models see."""

import json
import shlex
import sys

import numpy as np
from files import read_json, write_aside
from methods import METHODS

from contest import page as html
from contest import sections, tables
from contest.folder import DATA
from contest.paired import FEWEST
from contest.pairs import sample_pairs
from contest.plan import on_validation
from contest.results import BASELINES, Results
from contest.tables import arrow, headline


def write_report(contest, plan, chosen, recipe, split) -> None:
    """Prints the table, and writes it and, of test, the page."""
    results = Results(contest, plan, chosen, recipe.task, split)
    rows = results.rows()
    suffix = f"-search{plan.search}" if plan.search > 1 else ""
    suffix += "" if split == "test" else f"-{split}"
    grid = tables.grid(rows, recipe.task)
    tables.write_csv(contest.folder / f"table{suffix}.csv", rows)
    legend = tables.LEGEND.format(split=split) + of_several(results.revisions())
    text = f"{tables.markdown(*grid)}\n{legend}"
    write_aside(contest.folder / f"table{suffix}.md", lambda file: file.write(text))
    print(f"\n{tables.plain(*grid)}\n\n{legend}")
    if split != "test":
        return
    page = report(results, rows, command=shlex.join(["python", *sys.argv]))
    file = contest.folder / f"report{suffix}.html"
    write_aside(file, lambda opened: opened.write(page))
    print(f"The report is {file}")


def of_several(revisions) -> str:
    """What a table must say that more than one state of the code has made."""
    if len(revisions) == 1:
        return ""
    return (
        "\nTrainings are of more than one state of the code, which may differ in more:"
        f"\n{', '.join(revisions)}.\n"
    )


def report(results, rows, command: str) -> str:
    """The page.

    Args:
        results: `Results`.
        rows: its rows.
        command: what was typed.
    """
    data = results.contest.result(DATA)
    name = read_json(results.contest.folder / "contest.json")["recipe"]
    parts = [
        summary(results, data),
        html.section("Who is better?", comparison(results, rows)),
        html.section("Every seed", sections.accuracies(results)),
        html.section("How they learned", sections.learning(results)),
        html.section("How far apart the modalities are", sections.gaps(results)),
        html.section("What was let through", sections.selection(results)),
        html.section("What is taken for what", sections.confusions(results, data)),
        html.section("A few test samples", sample_pairs(results, data)),
        html.section("How it was made", how(results, command)),
    ]
    return html.page(f"A fair contest on {name}", parts)


def summary(results, data) -> str:
    plan, task = results.plan, results.task
    sizes = ", ".join(f"{count} {part}" for part, count in data["samples"].items())
    text = (
        f"{number(len(plan.methods), 'method')}, {number(len(plan.seeds), 'seed')}; "
        f"{len(data['classes'])} classes, samples: {sizes}. All methods of a "
        "direction share one pre-trained teacher; all methods of a seed share the "
        "student's first weights and every batch. The epoch that counts was chosen on "
        "validation."
    )
    teachers = "; where ".join(
        f"{arrow(pair)}, the teacher alone has "
        f"{100 * result['scores'][task.headline]:.1f} % {headline(task)} on test"
        for pair, result in results.teachers.items()
    )
    return html.paragraph(text) + html.paragraph(f"Where {teachers}.")


def number(count, noun) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def comparison(results, rows) -> str:
    parts = []
    for pair in results.plan.directions:
        of_pair = [row for row in rows if row.direction == pair]
        heads, lines = tables.grid(of_pair, results.task)
        parts += [html.subtitle(arrow(pair).capitalize())]
        parts += [html.paragraph(words) for words in in_words(of_pair, results.task)]
        lines = [line[1:] for line in lines]  # the direction is said above
        parts += [html.table(heads[1:], lines, f"Test figures, {arrow(pair)}")]
    parts += [
        html.paragraph(tables.LEGEND.format(split="test").replace("\n", " "), "note")
    ]
    if results.plan.search > 1:
        parts += [html.paragraph(SEARCHED), searched(results)]
    return "".join(parts)


def in_words(rows, task) -> list[str]:
    """A sentence for each baseline."""
    rows = [row for row in rows if row.figure == task.headline]
    if max(len(row.scores) for row in rows) < FEWEST:
        return [f"Too few seeds to judge by; give --seeds={FEWEST} or more."]
    sentences = []
    for base in BASELINES:
        verdicts = {}
        for row in rows:
            if base in row.against and row.method != "alone":
                verdict = row.against[base].verdict
                verdicts.setdefault(verdict, []).append(METHODS[row.method].title)
        said = [f"{verdict}: {', '.join(names)}" for verdict, names in verdicts.items()]
        if said:
            sentences.append(f"Against {METHODS[base].title}: {'; '.join(said)}.")
    diverged = [METHODS[row.method].title for row in rows if row.diverged]
    if diverged:
        sentences.append(f"Diverged: {', '.join(diverged)}.")
    return sentences


SEARCHED = (
    "Every method had the same search: the settings below were trained with the first "
    "seed, and the one that was best on validation went on to all seeds. The weight of "
    "the student alone is, with SGD, its learning rate; that of the others stays, so "
    "that a difference to a searched student alone is of the rate, too."
)


def searched(results) -> str:
    """What was tried, and what was chosen."""
    lines = [
        [
            arrow(pair),
            METHODS[method].title,
            cell.setting,
            json.dumps(METHODS[method].search[cell.setting]),
            figure_on_validation(results.contest.result(cell)),
            "chosen" if cell.setting == results.chosen[pair, method] else "",
        ]
        for pair in results.plan.directions
        for method in results.plan.methods
        for cell in results.plan.tried(pair, method)
    ]
    heads = ["direction", "method", "setting", "values", "validation (%)", ""]
    return html.table(heads, lines, "The search")


def figure_on_validation(result) -> str:
    value = on_validation(result)
    return f"{100 * value:.1f}" if np.isfinite(value) else "diverged"


def how(results, command) -> str:
    settings = read_json(results.contest.folder / "contest.json")
    lines = [
        [arrow(pair), METHODS[method].title, seconds(results, pair, method)]
        for pair in results.plan.directions
        for method in results.plan.methods
    ]
    return (
        html.paragraph("The command:")
        + html.preformatted(command)
        + html.paragraph("What it stood for, and the versions:")
        + html.preformatted("\n".join(f"{k}: {v}" for k, v in settings.items()))
        + html.paragraph("The code, by its git revision:")
        + html.preformatted("\n".join(results.revisions()))
        + html.paragraph("Seconds per training, which depend on what else was running:")
        + html.table(["direction", "method", "seconds"], lines, "Seconds per training")
    )


def seconds(results, pair, method) -> str:
    return f"{np.mean([result['seconds'] for result in results.of(pair, method)]):.0f}"
