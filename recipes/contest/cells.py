"""What happens inside one cell of a contest: a process of its own."""

import time

import numpy as np
import report
from files import read_model, write_aside, write_json
from loading import Data
from methods import METHODS, PAPER
from recipe import FLAGS
from settings import revision, versions
from training import delete_checkpoints, make_deterministic

from contest.fairness import Witnessed
from contest.folder import DATA, Cell, Contest
from contest.gap import gap_to, load_teacher, within_modalities
from contest.krc_histogram import KrcHistogram
from keras_c2kd.metrics import confusion_matrix

PAIRS = 6  # test samples that the report shows


def run_cell(recipe, contest: Contest, cell: Cell) -> None:
    """Runs it, or what is left of it; `result.json` comes last, by renaming."""
    make_deterministic(FLAGS.threads)
    if cell != DATA:
        FLAGS.teacher, FLAGS.student = cell.direction
    FLAGS.cache_dir = str(contest.cache_dir)
    folder = contest.at(cell)
    data = Data(recipe.load(), recipe.modalities, recipe.crops())
    started = time.monotonic()
    if cell == DATA:
        result = read_data(data, folder)
    else:
        check_samples(data, contest)
        training = Witnessed(recipe, data, report.Log(folder / "log.csv"))
        run = {"teacher": teacher, "gap": within_modalities}.get(cell.method, student)
        result = run(training, contest, cell)
    result["seconds"] = time.monotonic() - started
    result |= {"versions": versions(), "revision": revision()}
    write_json(folder / "result.json", result)
    for name in ("teacher", "student"):
        delete_checkpoints(folder / f"{name}.keras")


def read_data(data, folder):
    """Decodes into the cache, and keeps a few pairs of test for the report."""
    print(data)
    data.print_left_out()
    positions = pairs_to_show(data.parts["test"].samples)
    inputs, labels = take(data.test, positions)
    sources = data.parts["test"].samples.sources
    texts = {
        name: [str(sources[name][p]) for p in positions]
        for name, modality in data.modalities.items()
        if modality.kind == "tokens"
    }
    arrays = {f"input_{name}": value for name, value in inputs.items()}
    save_arrays(folder / "pairs.npz", labels=labels, **arrays)
    return {
        "kinds": {name: modality.kind for name, modality in data.modalities.items()},
        "classes": list(data.parts["train"].class_names),
        "samples": {name: len(part) for name, part in data.parts.items()},
        "notes": {name: list(part.notes) for name, part in data.parts.items()},
        "skipped": {name: part.skipped for name, part in data.parts.items()},
        "pairs": [data.parts["test"].ids[p] for p in positions],
        "texts": texts,
        "digest": data.fingerprint(),
    }


def pairs_to_show(samples):
    """Evenly spaced in test, by class: not by what any model says of them."""
    by_class = np.argsort(samples.labels, kind="stable")
    complete = np.ones(len(samples), bool)
    for mask in samples.present.values():
        complete &= mask
    there = by_class[complete[by_class]]
    spaced = np.linspace(0, len(there) - 1, min(PAIRS, len(there))).astype(int)
    return sorted(there[spaced].tolist())


def take(batches, positions):
    """Inputs by modality, and labels, of single samples."""
    inputs, labels, start = {}, [], 0
    for batch, target in batches:
        rows = [p - start for p in positions if 0 <= p - start < len(target)]
        batch.pop("present", None)
        for name, value in batch.items():
            inputs.setdefault(name, []).append(value.numpy()[rows])
        labels.append(target.numpy()[rows])
        start += len(target)
    inputs = {name: np.concatenate(parts) for name, parts in inputs.items()}
    return inputs, np.concatenate(labels)


def check_samples(data, contest):
    """A dataset that has changed in between would be another contest."""
    before = contest.result(DATA)["digest"]
    if data.fingerprint() != before:
        raise ValueError(
            "Expected the samples that the contest began with; give another --run_dir. "
            f"Received: another list of samples than in {contest.at(DATA)}"
        )


def teacher(training, contest, cell):
    """The one pre-trained teacher of a direction."""
    file = contest.teacher_file(cell)
    training.train_alone("teacher", FLAGS.teacher, cell.seed, file)
    model = read_model(file)
    result = of_test(training, model, FLAGS.teacher, contest, contest.at(cell))
    return {**result, "faults": training.look_at(model)}


def student(training, contest, cell):
    """A student by a method, from the weights and batches that all methods share."""
    method, file = METHODS[cell.method], contest.at(cell) / "student.keras"
    histogram = KrcHistogram(training.data)
    teacher = load_teacher(training, contest, cell)
    training.paired = method.paired
    try:
        if method.build is None:
            # The weight of the only loss is, with SGD, the learning rate.
            FLAGS.learning_rate *= method.search[cell.setting]["weight"]
            training.train_alone("student", FLAGS.student, cell.seed, file)
        else:
            training.distilled(
                method, cell.setting, teacher, cell.seed, file, callbacks=[histogram]
            )
            teacher = load_teacher(training, contest, cell)  # it may have learned, too
    except FloatingPointError as error:
        # It says something of the method, but for what all are compared with.
        searched = cell.seed == FLAGS.seed and cell.setting != PAPER
        if method.build is None and not searched:
            raise
        return {"diverged": str(error)}
    equal = training.noted()
    model = read_model(file)
    return {
        **of_test(training, model, FLAGS.student, contest, file.parent),
        **gap_to(teacher, model, training.data),
        "validation": best_of(training.log.rows, training.task.monitor),
        "krc_histogram": histogram.result(),
        "equal": equal,
    }


def of_test(training, model, modality, contest, folder):
    """Scores and confusions on test, and what the model says of the pairs."""
    confusion, predictions = 0, []
    for labels, logits in training.logits(model, modality):
        ignored = training.task.ignore_class
        confusion += confusion_matrix(labels, logits, ignore_class=ignored)
        if logits.ndim == 2:
            predictions += logits.argmax(axis=-1).tolist()
    with np.load(contest.at(DATA) / "pairs.npz") as pairs:
        logits = np.asarray(model.predict_on_batch(pairs[f"input_{modality}"]))
    probability = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability /= probability.sum(axis=-1, keepdims=True)
    save_arrays(
        folder / "pairs.npz",
        predicted=logits.argmax(axis=-1),
        probability=probability.max(axis=-1),
    )
    return {
        "scores": training.task.scores(confusion),
        "confusion": confusion.tolist(),
        "predictions": predictions,
    }


def best_of(rows, monitor):
    """The epoch that was kept, from 1, and its figure on validation."""
    best = max(rows, key=lambda row: row[monitor])  # the first of equal ones
    return {"epoch": best["epoch"] + 1, "value": best[monitor]}


def save_arrays(path, **arrays):
    write_aside(path, lambda file: np.savez_compressed(file, **arrays), mode="wb")
