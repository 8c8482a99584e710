"""export_student: write, load where it will run, compare, then put in place."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_c2kd.export.deployed import as_batches, deployable, fit, logits_of
from keras_c2kd.export.formats import FORMATS, check_formats
from keras_c2kd.export.report import ExportedFile, ExportError, ExportReport
from keras_c2kd.export.scores import accuracy, largest_difference
from keras_c2kd.export.steps import (
    compare,
    convert,
    put_in_place,
    run,
    size_of,
    written_file,
)

PREPROCESSING = 0.01  # of the range of logits: rounding to 256 levels, and no more


def export_student(
    student: keras.Model,
    folder: str | os.PathLike,
    samples: Any,
    formats: Sequence[str] = tuple(FORMATS),
    preprocessing: keras.Model | None = None,
    prepared: Any = None,
    labels: Any = None,
    int8: bool = False,
    tolerance: float = 1e-4,
    modules: Sequence[str] = (),
) -> ExportReport:
    """Writes a student in formats to ship, and proves each of them.

    Files are converted in a process of their own (with TensorFlow, whatever the
    student's backend is). Each is loaded by its own runtime in another, without
    keras_c2kd, and run on the samples, together and one alone. Only when its logits are
    the student's is it renamed into place; what is there already stays until then.
    Both run in full float32, the student where it is, the file on the CPU.

        "keras"       student.keras         Keras alone
        "savedmodel"  student_savedmodel/   TensorFlow, TensorFlow Serving
        "onnx"        student.onnx          ONNX Runtime
        "litert"      student.tflite        LiteRT, by built-in operations alone

    The batch size is dynamic in all of them, and so are sizes that are `None`.

    Args:
        student: one input, logits `(B, C)` or `(B, H, W, C)` in float32; or a
            subclassed model that returns `{"logits": ...}`.
        folder: where the files go.
        samples: real ones, a few to some hundreds, as users of the files will give
            them: `(N, ...)`, or a list of arrays of several sizes.
        formats: some of those above.
        preprocessing: put before the student: `preprocessing_for(modality)`,
            `image_preprocessing(...)`, or any model from raw samples to its input.
        prepared: the same samples as training's own pipeline made them; with
            `preprocessing`, the student must give the logits that it gives for them,
            to 1 % of their range.
        labels: integers `(N,)` or `(N, H, W)`, to report accuracies as well.
        int8: Keras's int8 (Dense, EinsumDense, embeddings), for LiteRT its own, of all
            kernels with 1,024 weights or more; files are called `student_int8`. Their
            highest logit must be the student's for 90 % of the samples; the difference
            is reported, not judged.
        tolerance: largest absolute difference of a logit; where logits are above 100,
            a millionth of the largest, which is what float32 keeps.
        modules: names of modules to import before the file is loaded, where layers of
            your own are registered; such files need them wherever they go.

    Returns:
        An `ExportReport`: path, bytes, difference and milliseconds of each.

    Raises:
        ValueError: arguments that do not fit each other; nothing is written.
        ImportError: a runtime that is not installed; nothing is written.
        ExportError: formats that could not be converted, loaded, or that compute
            something else; the other formats are in place.

    Example:

    ```python
    report = export_student(
        model.student, "shipped", photos, preprocessing=image_preprocessing(64)
    )
    print(report)
    ```
    """
    formats = check_formats(formats)
    raw = as_batches(samples)
    model = deployable(student, preprocessing, raw)
    batches = fit(raw, model)
    expected = logits_of(model, batches)
    report = ExportReport(
        {},
        accuracy=accuracy(expected, labels),
        preprocessing_difference=_preprocessing(student, prepared, expected),
    )
    folder = Path(folder)
    aside = folder / ".export.writing"
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed
    aside.mkdir(parents=True)
    try:
        model.save(aside / "model.keras")
        np.savez(aside / "samples.npz", *batches)
        not_converted = convert(formats, aside, int8, modules)
        for name in formats:
            try:
                written = written_file(name, aside, int8, not_converted)
                found = run(name, written, aside, modules)
                scores = compare(found, expected, int8, tolerance)
                path = put_in_place(written, folder / written.name, aside)
                report.files[name] = ExportedFile(
                    path=path,
                    size=size_of(path),
                    latency_ms=float(found["latency_ms"]),
                    accuracy=accuracy(found["logits"], labels),
                    **scores,
                )
            except (RuntimeError, ValueError) as error:
                report.failures[name] = str(error)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if report.failures:
        raise ExportError(report)
    return report


def _preprocessing(student, prepared, expected):
    """How far the logits are from those of training's own pipeline."""
    if prepared is None:
        return None
    logits = logits_of(student, as_batches(prepared))
    difference, most = largest_difference(logits, expected), np.ptp(expected)
    if difference > PREPROCESSING * most:
        raise ValueError(
            "Expected `preprocessing` to make of `samples` what `prepared` is, so that "
            f"logits differ by less than {PREPROCESSING * most:.2g}. "
            f"Received: {difference:.2g}"
        )
    return difference
