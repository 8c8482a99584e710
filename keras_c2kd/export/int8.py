"""Students with int8 weights, and the accuracy they cost."""

import dataclasses
import tempfile
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_c2kd.export.deployed import as_batches, logits_of
from keras_c2kd.export.scores import accuracy, agreement


@dataclasses.dataclass(frozen=True)
class Int8Report:
    """A student of int8, and what it costs.

    Attributes:
        student: the copy.
        accuracy_before: the student's, share of samples (or pixels).
        accuracy_after: the copy's.
        agreement: share of samples (or pixels) whose highest logit stays the same.
        layers: those that were quantized; Keras can do Dense, EinsumDense and
            embeddings, no convolutions.
        share: of the weights that are int8 now.
    """

    student: keras.Model
    accuracy_before: float
    accuracy_after: float
    agreement: float
    layers: tuple[str, ...]
    share: float


def quantize_student(student: keras.Model, samples: Any, labels: Any) -> Int8Report:
    """Quantizes a copy of a student with Keras, and measures what that costs.

    Worth it for transformers; of a ResNet only the last layer is quantized, so that
    nothing is gained: there, `export_student(formats=["litert"], int8=True)` makes
    LiteRT quantize the convolutions as well.

    Args:
        student: a built keras.Model; it stays as it is.
        samples: its inputs, `(N, ...)`.
        labels: integers `(N,)`, or `(N, H, W)` for logits per pixel; negative ones and
            255 beyond the classes count for nothing.

    Returns:
        An `Int8Report`; its `student` is the copy.

    Raises:
        ValueError: no layer that Keras can quantize, or labels that do not fit.

    Example:

    ```python
    report = quantize_student(student, test_ids, test_labels)
    print(report.accuracy_before, report.accuracy_after, report.share)
    ```
    """
    copy = copied(student)
    total = copy.count_params()
    kernels = {layer.path: layer.count_params() for layer in _layers(copy)}
    quantize(copy)
    done = [layer for layer in _layers(copy) if _is_int8(layer)]
    batches = as_batches(samples)
    before, after = logits_of(student, batches), logits_of(copy, batches)
    return Int8Report(
        student=copy,
        accuracy_before=accuracy(before, labels),
        accuracy_after=accuracy(after, labels),
        agreement=agreement(before, after),
        layers=tuple(layer.name for layer in done),
        share=sum(kernels[layer.path] for layer in done) / total,
    )


def copied(student: keras.Model) -> keras.Model:
    """The model, from a file: what is shared within it stays shared."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "student.keras"
        student.save(path)
        return keras.models.load_model(path, compile=False)


def quantize(model: keras.Model) -> None:
    """Keras's int8, without a warning for every layer that it leaves out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.quantize("int8")
    if not any(_is_int8(layer) for layer in _layers(model)):
        kinds = sorted({type(layer).__name__ for layer in _layers(model)})
        raise ValueError(
            "Expected a student with Dense, EinsumDense or Embedding layers, which "
            f"Keras can quantize. Received: layers {', '.join(kinds)}"
        )


def _layers(model):
    return list(model._flatten_layers(include_self=False))


def _is_int8(layer):
    return any(np.dtype(w.dtype) == np.int8 for w in layer._non_trainable_variables)
