"""A fair contest: methods on one dataset, paired by seed, in one table.

    python recipes/compare.py sun_rgbd --methods=alone,c2kd --seeds=2  # miniature
    python recipes/compare.py av_mnist --data_dir=/data/av_mnist --seeds=5 \\
        --directions=both --workers=2 --run_dir=runs/contest
    python recipes/compare.py sun_rgbd --methods=alone,c2kd --seeds=5 --search=3

The first word is a recipe; its own flags hold here too. All methods of a direction
share one pre-trained teacher, and all methods of a seed the initial student and the
batches. The same command goes on where it was stopped or killed; methods, seeds and
directions may be added later. README.md here says what is written.
"""

import os
import sys
import threading
from importlib import import_module
from pathlib import Path

import recipe as shared
from absl import app, flags, logging
from contest.folder import DATA, Cell, Contest
from contest.plan import Plan
from contest.workers import Bar, Workers, last_words
from methods import METHODS, RIVALS, methods_of
from settings import backend, remember, settings_that_matter

FLAGS = flags.FLAGS
RECIPES = ("sun_rgbd", "nyu_depth_v2", "cremad", "ave", "vggsound")
RECIPES += ("crisismmd", "av_mnist")

# Flags that choose cells; what is in one depends on the others.
FREE = {"teacher", "student", "methods", "directions", "workers", "search", "cell"}
FREE |= {"judge_on"}  # the table alone

flags.DEFINE_list("methods", None, "Which methods, with commas; none: the rivals.")
flags.DEFINE_enum("directions", "one", ["one", "both"], "both: roles exchanged too.")
flags.DEFINE_integer("workers", 1, "Cells that run at the same time.", 1)
flags.DEFINE_integer("threads", 1, "Of a cell; another number, other last bits.", 1)
flags.DEFINE_integer("search", 1, "Settings tried per method, on validation.", 1, 3)
flags.DEFINE_enum(
    "judge_on", "test", ["test", "validation"], "validation: to choose a method by."
)
flags.DEFINE_string("cell", None, "One cell alone; the contest starts those itself.")


def main(arguments) -> None:
    logging.set_verbosity(logging.ERROR)
    if len(arguments) > 2:
        sys.exit(f"\nExpected one recipe, then flags. Received: {arguments[1:]}")
    module = import_module(arguments[1])
    if FLAGS.distribution not in ("auto", "none"):
        sys.exit(
            "\nExpected --distribution=none in a contest, whose trainings run side by "
            f"side, each on one device. Received: --distribution={FLAGS.distribution}"
        )
    FLAGS.distribution = "none"
    if backend() == "jax" and FLAGS.threads > 1:
        sys.exit(
            "\nExpected --threads on TensorFlow or torch; JAX takes the threads that "
            f"there are. Received: --threads={FLAGS.threads}"
        )
    for name in ("export", "int8", "resume"):
        if FLAGS[name].value:
            sys.exit(
                "\nExpected flags that a contest has a use for: it goes on by itself, "
                f"and ships nothing. Received: --{name}"
            )
    shared.end_in_one_sentence(run_one if FLAGS.cell else run_all, module)


def the_contest(recipe) -> Contest:
    """In the folder that the flags name; the same command, the same folder."""
    if FLAGS.smoke:
        FLAGS.epochs, FLAGS.image_size = 1, 32
    folder = FLAGS.run_dir or Path("runs") / f"contest-{recipe.name}"
    return Contest(Path(folder), FLAGS.cache_dir)


def run_one(module) -> None:
    """One cell, in a process that a contest has started."""
    import quiet  # noqa: F401 - before whatever imports TensorFlow
    from contest.cells import run_cell

    run_cell(module.RECIPE, the_contest(module.RECIPE), Cell.from_name(FLAGS.cell))


def run_all(module) -> None:
    """The whole contest, its tables and its report."""
    module.RECIPE.check_flags()
    plan = the_plan(module.RECIPE)
    contest = the_contest(module.RECIPE)
    lock = contest.lock()
    settings = settings_that_matter(module.RECIPE, FREE)
    remember(contest.folder / "contest.json", settings, begun=contest.is_done(DATA))
    print(f"{plan.trainings()} trainings; they are written to {contest.folder}")
    bar = Bar(plan.trainings(), FLAGS.epochs)
    workers = Workers(contest, FLAGS.workers, [sys.executable, *sys.argv], lock, bar)
    try:
        chosen = run_cells(contest, plan, workers)
    except KeyboardInterrupt:
        sys.exit("\nStopped; the same command goes on from here.")
    from contest.report import write_report

    write_report(contest, plan, chosen, module.RECIPE, FLAGS.judge_on)


def the_plan(recipe) -> Plan:
    methods = methods_of(FLAGS.methods, dense=recipe.task.unit == "pixels")
    left_out = [METHODS[name].title for name in RIVALS if name not in methods]
    if FLAGS.methods is None and left_out:
        print(f"Left out, since they take no per-pixel logits: {', '.join(left_out)}")
    pair = FLAGS.teacher, FLAGS.student
    directions = [pair, pair[::-1]] if FLAGS.directions == "both" else [pair]
    seeds = range(FLAGS.seed, FLAGS.seed + FLAGS.seeds)
    return Plan(directions, methods, seeds, FLAGS.search)


def run_cells(contest, plan, workers) -> dict:
    """Those first that others need; returns the setting of each method."""
    for cells in ([DATA], plan.teachers()):
        workers.run(cells)
        stop_if_failed(contest, workers)
    say_faults(contest, plan.teachers())
    workers.run(plan.search_cells())
    stop_if_failed(contest, workers)
    chosen = plan.choose(contest)
    for cells in (plan.cells(chosen), plan.gaps(chosen)):
        workers.run(cells)
        stop_if_failed(contest, workers)
    return chosen


def say_faults(contest, teachers) -> None:
    """Of teachers that learned nothing, before anything is distilled from them."""
    for cell in teachers:
        for sentence in contest.result(cell).get("faults", []):
            print(f"{cell}: {sentence}")


def stop_if_failed(contest, workers) -> None:
    """After the others have run; they are not run again."""
    if workers.failed:
        reasons = [f"{c}: {last_words(contest, c)}" for c in workers.failed]
        where = contest.at(workers.failed[0]) / "output.txt"
        sys.exit("\n" + "\n".join([*reasons, f"More is in {where}."]))


def end_with_the_contest() -> None:
    """A cell whose contest was killed ends too: its standard input is closed then."""

    def wait():
        os.read(0, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    if any(argument.startswith("--cell") for argument in sys.argv):
        end_with_the_contest()
    if sys.argv[1:2] and sys.argv[1] in RECIPES:
        import_module(sys.argv[1]).RECIPE.set_defaults()
        app.run(main)
    elif "--help" in sys.argv or "-h" in sys.argv:
        print(__doc__)
    else:
        known = ", ".join(RECIPES)
        sys.exit(f"Expected a recipe first, one of {known}. Received: {sys.argv[1:]}")
