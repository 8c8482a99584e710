"""What a recipe does: teacher, student alone, C2KD; test, table, run folder."""

import time
from pathlib import Path

import report
from absl import logging
from done import Done
from files import lock, read_model
from loading import Data
from methods import METHODS, PAPER
from recipe import FLAGS, end_in_one_sentence
from settings import made, remember, settings_that_matter
from shipping import check_formats, ship
from training import (
    Training,
    check_guard,
    delete_checkpoints,
    has_checkpoints,
    make_deterministic,
)

from keras_c2kd import distribution

UNFINISHED = ".unfinished"  # in the folder of a run until all of it is written


def run(recipe) -> None:
    """Run a recipe from its flags; a known mistake ends in one sentence."""
    logging.set_verbosity(logging.ERROR)
    end_in_one_sentence(_run, recipe)


def _run(recipe):
    if FLAGS.smoke:
        FLAGS.epochs, FLAGS.image_size, FLAGS.seeds = 1, 32, 1
    check_formats()
    make_deterministic()
    distribution.initialize()
    with distribution.distribute(FLAGS.distribution) as replicas:
        pass  # only to know them
    check_guard(replicas)
    folder = run_folder(recipe.name, replicas)
    data = Data(recipe.load(), recipe.modalities, recipe.crops(), replicas.count)
    Run(recipe, folder, data, replicas).run()


class Run:
    """One teacher; for each seed the student alone, and the same with C2KD.

    The same command in the same folder goes on with what is not done yet.
    """

    def __init__(self, recipe, folder, data, replicas):
        self.folder, self.data, self.task = folder, data, recipe.task
        self.replicas = replicas
        self.lock = lock(folder)  # held as long as this process lives
        self.log = report.Log(folder / "log.csv")
        self.training = Training(recipe, data, self.log)
        self.made = made(data, replicas)
        self.done = Done(folder / "done.json", [self.key(*t) for t in self.trainings()])
        self.settings = settings_that_matter(recipe) | {"data": self.made["data"]}
        files = [self.file(*training) for training in self.trainings()]
        begun = bool(self.done) or any(map(has_checkpoints, files))
        remember(folder / "config.json", self.settings, begun)

    def trainings(self):
        """`(name, seed)` of all, in order."""
        yield "teacher", FLAGS.seed
        for seed in range(FLAGS.seed, FLAGS.seed + FLAGS.seeds):
            yield "student alone", seed
            yield "C2KD", seed

    def run(self):
        print(f"\n{self.data}; the run is written to {self.folder}")
        if self.replicas.count > 1:
            print(f"{self.replicas.count} devices share each batch")
        self.data.print_left_out()
        (self.folder / UNFINISHED).touch()
        for modality in self.data.modalities.values():
            modality.save(self.folder)
        results = {}
        for name, seed in self.trainings():
            results.setdefault(name, []).append(self.once(name, seed))
        self.write(results)
        print(report.table(results, FLAGS.teacher, FLAGS.student, self.task))
        self.export(results)
        (self.folder / UNFINISHED).unlink()

    def write(self, results):
        """results.json and curves.png."""
        parts, task = self.data.parts, self.task
        report.write_results(self.folder, results, parts, task, self.provenance())
        report.draw_curves(self.log.rows, self.folder / "curves.png", task)

    def export(self, results):
        """Process 0 does it, and the others wait: JAX ends a run that one has left."""
        try:
            if FLAGS.export and self.replicas.process == 0:
                ship(self, results)
        finally:
            self.done.agree()

    def provenance(self):
        """How each training was made; the last one's first."""
        made = {key: self.done.made(key) for key in self.done.names}
        last = list(made.values())[-1][-1]
        settings = {"settings": self.settings, "seed": FLAGS.seed}
        return {**settings, **last, "trainings": made}

    def once(self, name, seed):
        """Scores on test of a training; those of one that is done are kept."""
        key, file = self.key(name, seed), self.file(name, seed)
        if key not in self.done:
            train = {"student alone": self.alone, "C2KD": self.c2kd}
            self.done.begin(key, self.made, goes_on=has_checkpoints(file))
            self.done.end(key, train.get(name, self.teacher)(seed, file))
        delete_checkpoints(file)
        return self.done.scores(key)

    def key(self, name, seed):
        """What a training is called in done.json."""
        return f"{name}, seed {seed}"

    def file(self, name, seed):
        """Where the best epoch is kept."""
        stem = {"student alone": "alone", "C2KD": "student"}.get(name, name)
        number = "" if seed == FLAGS.seed else f"_{seed}"
        return self.folder / f"{stem}{number}.keras"

    def teacher(self, seed, file):
        self.training.train_alone("teacher", FLAGS.teacher, seed, file)
        teacher = read_model(file)
        for sentence in self.training.look_at(teacher):
            print(sentence)
        return self.training.test(teacher, FLAGS.teacher)

    def alone(self, seed, file):
        """The student on labels alone, and how it agrees with the teacher."""
        self.training.train_alone("student", FLAGS.student, seed, file)
        student = read_model(file)
        scores = self.training.test(student, FLAGS.student)
        agreement = self.training.agreement(self.load_teacher(seed), student)
        return {**scores, **agreement}

    def c2kd(self, seed, file):
        """C2KD, from the same initial student and the same batches as the baseline."""
        with self.training.on_all_devices():
            teacher, method = self.load_teacher(seed), METHODS["c2kd"]
            model = self.training.distilled(method, PAPER, teacher, seed, file)
            test = self.data.shared("test")
            proxies = model.evaluate(test, verbose=0, return_dict=True)
        student = read_model(file)
        agreement = {"krc": proxies["krc"], "selected": proxies["selected"]}
        return {**self.training.test(student, FLAGS.student), **agreement}

    def load_teacher(self, seed):
        """As it was saved: distillation trains the teacher too."""
        file = self.folder / "teacher.keras"
        return self.training.load(file, "teacher", FLAGS.teacher, seed)


def run_folder(name, replicas):
    """--run_dir, with --resume the newest run that is not done, else a new folder."""
    if replicas.processes > 1:
        return folder_of_process(replicas)
    if FLAGS.run_dir:
        return Path(FLAGS.run_dir)
    prefix = f"{name}-{FLAGS.teacher}-to-{FLAGS.student}-"
    if not FLAGS.resume:
        return Path("runs") / f"{prefix}{time.strftime('%Y%m%d-%H%M%S')}"
    begun = [
        folder
        for folder in sorted(Path("runs").glob(f"{prefix}*"))
        if (folder / "config.json").exists() and not is_finished(folder)
    ]
    if not begun:
        raise ValueError(
            "Expected a run that is not done yet in runs/, to go on with. "
            f"Received: --resume, and no such {prefix}*"
        )
    return begun[-1]


def is_finished(folder):
    """Whether all that a run writes is there, to the last exported file."""
    return (folder / "results.json").exists() and not (folder / UNFINISHED).exists()


def folder_of_process(replicas):
    """Every process has what it needs on its own machine; the first one is read."""
    if not FLAGS.run_dir:
        raise ValueError(
            "Expected --run_dir in a run of several processes, for all of them to find "
            f"what was done before. Received: {replicas.processes} processes"
        )
    if replicas.process == 0:
        return Path(FLAGS.run_dir)
    import quiet

    quiet.silence()
    return Path(FLAGS.run_dir) / f".process_{replicas.process}"
