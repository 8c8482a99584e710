"""--export: the student as files to ship, proved on test samples, with its card."""

import itertools
import shlex
import sys

import numpy as np
import report
from files import read_model
from recipe import FLAGS

SAMPLES = 128  # of test, that every file is run on


def check_formats() -> None:
    """Before anything is trained."""
    if FLAGS.export:
        from keras_c2kd.export.formats import check_formats

        check_formats(FLAGS.export)


def ship(run, results) -> None:
    """Exports the C2KD student of the first seed into `exported/` of the run's folder.

    Args:
        run: a `runner.Run` that is done.
        results: test figures by model and seed.
    """
    from keras_c2kd.export import export_student, model_card

    modality = run.data.modalities[FLAGS.student]
    inputs, labels = test_samples(run.data)
    preprocessing, samples = as_users_have_it(modality, inputs)
    folder = run.folder / "exported"
    print(f"\nexporting to {folder}")
    exported = export_student(
        read_model(run.file("C2KD", FLAGS.seed)),
        folder,
        samples,
        FLAGS.export,
        preprocessing=preprocessing,
        prepared=None if preprocessing is None else inputs,
        labels=labels,
    )
    made, task = run.provenance, run.task
    fields = {
        "name": f"Student of {FLAGS.student}, taught by {FLAGS.teacher}",
        "data": str(run.data),
        "data_fingerprint": made["data"],
        "classes": list(run.data.parts["train"].class_names),
        "input": "as users have it" if preprocessing else "as the recipe prepares it",
        "teacher": scores_of(results["teacher"], task),
        "student": scores_of(results["student alone"], task) | {"trained on": "labels"},
        "method": "C2KD",
        "seeds": len(results["C2KD"]),
        "metrics": scores_of(results["C2KD"], task),
        "versions": made["versions"] | {"device": made["device"]},
        "revision": made["revision"],
        "command": shlex.join(["python", *sys.argv]),
    }
    card = model_card(folder, fields, exported)
    print(f"{exported}\nThe model card is {card}")


def test_samples(data):
    """Some hundred inputs of the student, and their labels."""
    batches = data.only(data.test, FLAGS.student)
    count = -(-SAMPLES // FLAGS.batch_size)
    parts = [batch[:2] for batch in itertools.islice(batches, count)]
    inputs, labels = (np.concatenate([np.asarray(p[i]) for p in parts]) for i in (0, 1))
    return inputs[:SAMPLES], labels[:SAMPLES]


def as_users_have_it(modality, inputs):
    """Preprocessing and raw samples, where these can be had from prepared ones."""
    from keras_c2kd.data import Depth, Rgb
    from keras_c2kd.export import preprocessing_for

    if isinstance(modality, Rgb):
        return preprocessing_for(modality), np.rint(inputs).astype("uint8")
    if isinstance(modality, Depth):
        return preprocessing_for(modality), inputs
    return None, inputs


def scores_of(scores, task):
    """Percent by name, mean over seeds."""
    return {title: report.cell(scores, name) for name, title in task.columns.items()}
