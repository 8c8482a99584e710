"""--export: the student as files to ship, proved on test samples, with its card."""

import dataclasses

import numpy as np
import report
from files import read_model
from methods import METHODS, PAPER
from recipe import FLAGS
from settings import command, version

SAMPLES = 128  # of test, that every file is run on
# Of decoded samples to what users have: millimetres to metres, 16 bits to -1..1.
UNITS = {"uint16": 1000.0, "int16": 32768.0}


def check_formats() -> None:
    """Before anything is trained."""
    if FLAGS.export:
        from keras_c2kd.export.formats import check_formats

        check_formats(FLAGS.export)
    elif FLAGS.int8:
        raise ValueError(
            "Expected --export with --int8, which adds int8 to the formats it names. "
            "Received: --int8 without --export"
        )


def ship(run, results) -> None:
    """Exports the C2KD student of the first seed into `exported/` of the run's folder.

    Args:
        run: a `runner.Run` that is done.
        results: test figures by model and seed.

    Raises:
        ValueError: formats that failed; the others are in place, with their card.
    """
    from keras_c2kd.export import model_card, preprocessing_for

    folder = run.folder / "exported"
    print(f"\nexporting to {folder}")
    preprocessing = preprocessing_for(run.data.modalities[FLAGS.student])
    student = read_model(run.file("C2KD", FLAGS.seed))
    samples = test_samples(run.data)
    reports = {
        kind: export(student, folder, preprocessing, samples, int8=bool(kind))
        for kind in (["", " int8"] if FLAGS.int8 else [""])
    }
    exported = as_one(reports)
    fields = fields_of(run, results)
    fields["input"] = described(preprocessing)
    fields["exported_with"] = packages_of(FLAGS.export)
    count = len(samples[-1])
    fields["compared_on"] = f"the first {count} samples of test, for accuracy too"
    card = model_card(folder, fields, exported)
    print(*reports.values(), sep="\n")
    print(f"Compared on {fields['compared_on']}. The model card is {card}")
    if exported.failures:
        why = "; ".join(f"{name}: {text}" for name, text in exported.failures.items())
        raise ValueError(
            "Expected every format to be written and to compute what the student does; "
            "the others are in place, and the same command tries all of them again. "
            f"Received: {why}"
        )


def export(student, folder, preprocessing, samples, int8):
    """An `ExportReport`, of the formats that failed too."""
    from keras_c2kd.export import ExportError, export_student

    decoded, prepared, labels = samples
    try:
        return export_student(
            student,
            folder,
            as_users_have_it(decoded),
            FLAGS.export,
            preprocessing=preprocessing,
            prepared=None if preprocessing is None else prepared,
            labels=labels,
            int8=int8,
        )
    except ExportError as error:
        return error.report


def as_one(reports):
    """The reports of several kinds of numbers, the kind in the formats' names."""
    first = next(iter(reports.values()))
    files, failures = {}, {}
    for kind, found in reports.items():
        files |= {name + kind: file for name, file in found.files.items()}
        failures |= {name + kind: why for name, why in found.failures.items()}
    return dataclasses.replace(first, files=files, failures=failures)


def fields_of(run, results) -> dict:
    """What the model card says of data, training and scores."""
    made, task = run.provenance(), run.task
    return {
        "name": f"Student of {FLAGS.student}, taught by {FLAGS.teacher}",
        "data": str(run.data),
        "data_fingerprint": made["data"],
        "classes": list(run.data.parts["train"].class_names),
        "teacher": scores_of(results["teacher"], task),
        "student": scores_of(results["student alone"], task) | {"trained on": "labels"},
        "method": method(),
        "training": training(),
        "seeds": [seed for name, seed in run.trainings() if name == "C2KD"],
        "metrics": scores_of(results["C2KD"], task),
        "versions": made["versions"] | {"device": made["device"]},
        "revision": made["revision"],
        "command": command(),
    }


def method() -> dict:
    """C2KD with its settings."""
    from keras_c2kd import OFSD

    selection = OFSD(select=FLAGS.select).get_config()
    ours = selection.keys() - {"name", "trainable", "loss"}
    paper = METHODS["c2kd"]
    return {
        "name": paper.title,
        **paper.search[PAPER],
        "OFSD": {name: selection[name] for name in sorted(ours)},
    }


def training() -> dict:
    """How all three models were trained."""
    names = ("encoder", "image_size", "batch_size", "epochs", "learning_rate")
    flags = {name: getattr(FLAGS, name) for name in names}
    return {**flags, "optimizer": "SGD, momentum 0.9, polynomial decay"}


def described(preprocessing) -> str:
    """What the files take."""
    if preprocessing is None:
        return "token ids; the run's folder holds what turns a text into them"
    given = preprocessing.inputs[0]
    sizes = ", ".join("any" if size is None else str(size) for size in given.shape)
    return f"as users have it: {given.dtype} ({sizes})"


def packages_of(formats) -> dict:
    """Versions of what has written and run the files."""
    from keras_c2kd.export.formats import FORMATS

    names = dict.fromkeys(p for f in formats for p in FORMATS[f].packages)
    return {name: version(name) for name in names}


def test_samples(data, most=SAMPLES):
    """Inputs of the student as they are decoded and as it takes them, and labels."""
    part, modality = data.parts["test"], data.modalities[FLAGS.student]
    there = part.samples.present.get(FLAGS.student, np.ones(len(part), bool))
    found = []
    for packed in part.batches(most, drop_remainder=False):
        rows = there[packed["position"].numpy()]
        inputs = packed[FLAGS.student]
        arrays = (inputs, modality.prepare(inputs), labels_of(data, packed))
        found.append([np.asarray(array)[rows] for array in arrays])
        if sum(len(labels) for *_, labels in found) >= most:
            break
    return [np.concatenate(arrays)[:most] for arrays in zip(*found, strict=True)]


def labels_of(data, packed):
    """Of a batch: one per sample, or one per pixel."""
    if "labels" in data.modalities:
        return data.modalities["labels"].prepare(packed["labels"])
    return data.parts["test"].labels[packed["position"].numpy()]


def as_users_have_it(decoded):
    """Decoded samples in the units that preprocessing takes."""
    unit = UNITS.get(decoded.dtype.name)
    return decoded if unit is None else (decoded / unit).astype("float32")


def scores_of(scores, task):
    """Percent by name, mean over seeds."""
    return {title: report.cell(scores, name) for name, title in task.columns.items()}
