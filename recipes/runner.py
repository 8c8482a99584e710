"""What every recipe does: teacher, student alone, C2KD; test, table, run folder."""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import report
from absl import flags, logging

from keras_c2kd import C2KD, models
from keras_c2kd.callbacks import StopOnNonFinite, StudentCheckpoint
from keras_c2kd.callbacks.student_checkpoint import save_aside
from keras_c2kd.ops import kendall_rank_correlation

FLAGS = flags.FLAGS
flags.DEFINE_string("teacher", None, "Modality of the teacher.")
flags.DEFINE_string("student", None, "Modality of the student.")
flags.DEFINE_enum("encoder", "small_resnet", ["small_resnet", "resnet18"], "Both nets.")
flags.DEFINE_integer("image_size", 64, "Side of the images, in pixels.", 8)
flags.DEFINE_integer("batch_size", 16, "Samples per step.", 1)
flags.DEFINE_integer("epochs", 25, "Epochs of each of the three trainings.", 1)
flags.DEFINE_float("learning_rate", 0.02, "Of SGD with momentum 0.9, at the start.")
flags.DEFINE_float("validation_fraction", 0.2, "Of train, to choose epochs on.", 0, 1)
flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.")
flags.DEFINE_integer("seeds", 1, "How many seeds, from --seed on, with one teacher.", 1)
flags.DEFINE_enum("on_error", "raise", ["raise", "skip"], "What a broken sample does.")
flags.DEFINE_string("run_dir", None, "Where to write; none: a new folder in runs/.")
flags.DEFINE_bool("smoke", False, "One epoch of little: seconds, for tests.")


@dataclass(frozen=True)
class Modality:
    """What a model needs to know of its input: `scale * value + offset` is near 0."""

    channels: int
    scale: float
    offset: float


@dataclass(frozen=True)
class Splits:
    """The decoded parts of a dataset, and what the reader has to say about it."""

    train: Any
    validation: Any
    test: Any
    notes: tuple[str, ...] = ()


def run(name: str, load: Callable[[], Splits], modalities: dict[str, Modality]) -> None:
    """Run a recipe from its flags; a known mistake ends in one sentence."""
    logging.set_verbosity(logging.ERROR)
    try:
        check_flags(modalities)
        if FLAGS.smoke:
            FLAGS.epochs, FLAGS.image_size, FLAGS.seeds = 1, 32, 1
        _run(name, load(), modalities)
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"\n{type(error).__name__}: {error}")


def _run(name, splits, modalities):
    folder = run_folder(name)
    report.write_json(folder / "config.json", FLAGS.flag_values_dict())
    log = report.Log(folder / "log.csv")
    data = Data(splits)
    print(f"\n{data}; the run is written to {folder}")
    print_left_out(splits)

    teacher = train_alone("teacher", FLAGS.teacher, data, modalities, FLAGS.seed, log)
    save_aside(teacher, folder / "teacher.keras")
    results = {"teacher": [test_scores(teacher, data, FLAGS.teacher)]}
    for seed in range(FLAGS.seed, FLAGS.seed + FLAGS.seeds):
        alone = train_alone("student", FLAGS.student, data, modalities, seed, log)
        scores = test_scores(alone, data, FLAGS.student)
        scores.update(agreement(teacher, alone, data))
        results.setdefault("student alone", []).append(scores)
        teacher = keras.models.load_model(folder / "teacher.keras")
        student_file = (
            "student.keras" if seed == FLAGS.seed else f"student_{seed}.keras"
        )
        distilled = distil(teacher, data, modalities, seed, log, folder / student_file)
        student = keras.models.load_model(folder / student_file)
        scores = test_scores(student, data, FLAGS.student)
        proxies = distilled.evaluate(data.test, verbose=0, return_dict=True)
        scores.update(krc=proxies["krc"], selected=proxies["selected"])
        results.setdefault("C2KD", []).append(scores)
        teacher = keras.models.load_model(folder / "teacher.keras")
        report.write_results(folder, results, splits)
    report.draw_curves(log.rows, folder / "curves.png")
    print(report.table(results, FLAGS.teacher, FLAGS.student))


def print_left_out(splits, most=10):
    """What the reader found and left out; all of it is in results.json too."""
    notes = list(splits.notes)
    for part in (splits.train, splits.validation, splits.test):
        notes += [f"left out: {reason}" for _, reason in part.skipped]
    print("\n".join(notes[:most]))
    if len(notes) > most:
        print(f"... and {len(notes) - most} more, in results.json")


class Data:
    """Batches of the three parts, the same for every model of a seed."""

    def __init__(self, splits: Splits):
        from keras_c2kd.data import make_batches

        self.splits = splits
        self.classes = len(splits.train.class_names)
        self.labels = splits.test.labels
        self.train = lambda seed: make_batches(
            splits.train, FLAGS.batch_size, training=True, seed=seed
        )
        self.validation, self.test = (
            make_batches(part, 128, training=False)
            for part in (splits.validation, splits.test)
        )

    def __str__(self):
        parts = ("train", "validation", "test")
        sizes = ", ".join(f"{len(getattr(self.splits, p))} {p}" for p in parts)
        return f"{self.classes} classes: {sizes}"


def build(role, modality, data, modalities):
    """An untrained classifier of one modality."""
    about = modalities[modality]
    shape = (FLAGS.image_size, FLAGS.image_size, about.channels)
    encoder = getattr(models, FLAGS.encoder)
    return encoder(
        shape, data.classes, scale=about.scale, offset=about.offset, name=role
    )


def optimizer(data):
    """That of the released code: SGD, momentum 0.9, polynomial decay of power 0.9."""
    steps = FLAGS.epochs * int(data.train(0).cardinality())
    rate = keras.optimizers.schedules.PolynomialDecay(
        FLAGS.learning_rate, steps, end_learning_rate=1e-4, power=0.9
    )
    return keras.optimizers.SGD(rate, momentum=0.9)


def callbacks(title, seed, log):
    """The best epoch is chosen on validation, never on test."""
    best = keras.callbacks.EarlyStopping(
        "val_accuracy", mode="max", patience=FLAGS.epochs, restore_best_weights=True
    )
    return [best, StopOnNonFinite(), log.callback(title, seed), EpochBar(title, seed)]


def train_alone(role, modality, data, modalities, seed, log):
    """One model of one modality, trained on labels."""
    keras.utils.set_random_seed(seed)
    model = build(role, modality, data, modalities)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer(data), loss=loss, metrics=["accuracy"])
    title = "teacher" if role == "teacher" else "student alone"
    model.fit(
        only(data.train(seed), modality),
        validation_data=only(data.validation, modality),
        epochs=FLAGS.epochs,
        callbacks=callbacks(title, seed, log),
        shuffle=False,  # the dataset does it
        verbose=0,
    )
    return model


def distil(teacher, data, modalities, seed, log, student_file):
    """C2KD, from the same initial student and the same batches as the baseline."""
    keras.utils.set_random_seed(seed)
    student = build("student", FLAGS.student, data, modalities)
    model = C2KD(
        teacher,
        student,
        teacher_modality=FLAGS.teacher,
        student_modality=FLAGS.student,
        teacher_features="stage3",
        student_features="stage3",
    )
    model.compile(optimizer(data), metrics=["accuracy"])
    model.fit(
        data.train(seed),
        validation_data=data.validation,
        epochs=FLAGS.epochs,
        callbacks=[StudentCheckpoint(student_file), *callbacks("C2KD", seed, log)],
        shuffle=False,
        verbose=0,
    )
    return model


def test_scores(model, data, modality):
    """Top-1 and mean class accuracy on test."""
    predicted = model.predict(only(data.test, modality), verbose=0).argmax(-1)
    right = predicted == data.labels
    by_class = [right[data.labels == c].mean() for c in np.unique(data.labels)]
    return {"top1": float(right.mean()), "mean_class": float(np.mean(by_class))}


def agreement(teacher, student, data):
    """How the logits of two separately trained models rank the classes alike."""
    logits = [
        model.predict(only(data.test, modality), verbose=0)
        for model, modality in ((teacher, FLAGS.teacher), (student, FLAGS.student))
    ]
    krc = keras.ops.convert_to_numpy(kendall_rank_correlation(*logits))
    return {"krc": float(krc.mean()), "selected": float((krc > 0.0).mean())}


def only(batches, modality):
    """One modality of a paired dataset."""
    return batches.map(lambda inputs, labels: (inputs[modality], labels))


def check_flags(modalities):
    """Before anything is read or written."""
    for role in ("teacher", "student"):
        if getattr(FLAGS, role) not in modalities:
            raise ValueError(
                f"Expected --{role} to be one of {', '.join(modalities)}. "
                f"Received: --{role}={getattr(FLAGS, role)}"
            )
    if FLAGS.teacher == FLAGS.student:
        raise ValueError(
            "Expected two different modalities. "
            f"Received: --teacher={FLAGS.teacher} --student={FLAGS.student}"
        )


def run_folder(name):
    """A folder of its own for each run, so that nothing is overwritten."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    default = Path("runs") / f"{name}-{FLAGS.teacher}-to-{FLAGS.student}-{stamp}"
    folder = Path(FLAGS.run_dir) if FLAGS.run_dir else default
    if (folder / "results.json").exists():
        raise ValueError(
            "Expected a --run_dir without a finished run, which would be overwritten. "
            f"Received: --run_dir={folder}"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cache_dir(name):
    """Where generated data is kept between runs, beside Keras's own datasets."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return home / "datasets" / "keras_c2kd" / name


def bar(title):
    """A progress bar as `progress(done, total)`, shown from the first call on."""
    bars = {}

    def progress(done, total):
        if not bars:
            print(title)
            bars[title] = keras.utils.Progbar(total, unit_name="sample")
        bars[title].update(done)

    return progress


class EpochBar(keras.callbacks.Callback):
    """One line per training, with a few figures of the epoch."""

    shown = ("loss", "krc", "selected", "val_accuracy")

    def __init__(self, title, seed):
        super().__init__()
        self.title = f"{title}, seed {seed}"

    def on_train_begin(self, logs=None):
        print(self.title)
        self.bar = keras.utils.Progbar(
            self.params["epochs"], unit_name="epoch", stateful_metrics=self.shown
        )

    def on_epoch_end(self, epoch, logs=None):
        values = [(name, logs[name]) for name in self.shown if name in logs]
        self.bar.update(epoch + 1, values)
