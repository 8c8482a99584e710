"""The model that is shipped: preprocessing, student, one input and one output."""

from collections.abc import Sequence

import keras
import numpy as np

from keras_c2kd.backend import devices
from keras_c2kd.export.float32 import lower_precision

_BATCH = 16


def deployable(student, preprocessing, samples) -> keras.Model:
    """A Functional model from samples to logits, uncompiled, of the same weights."""
    if not isinstance(student, keras.Model):
        raise ValueError(
            "Expected `student` to be a keras.Model, as `C2KD(...).student`. "
            f"Received: {type(student).__name__}"
        )
    low = lower_precision(student)
    if low:
        raise ValueError(
            "Expected a student that computes in float32, which every format can "
            "hold; keras_c2kd.export.in_float32(student) makes a copy that does. "
            f"Received: {len(low)} layers of fewer bits, {low[0]!r} the first"
        )
    if preprocessing is not None and not isinstance(preprocessing, keras.Model):
        raise ValueError(
            "Expected `preprocessing` to be a keras.Model from raw samples to the "
            "student's input, as preprocessing_for(modality). "
            f"Received: {type(preprocessing).__name__}"
        )
    if preprocessing is not None:
        inputs = preprocessing.inputs[0]
        outputs = student(preprocessing.outputs[0])
    elif hasattr(student, "operations"):  # Functional: its own graph, flat
        _check_single(student)
        inputs, outputs = student.inputs[0], student.output
    else:
        inputs = keras.Input(samples[0].shape[1:], dtype=samples[0].dtype.name)
        outputs = student(inputs)
    return keras.Model(inputs, _logits(outputs), name=student.name)


def _check_single(student):
    if len(student.inputs) != 1:
        raise ValueError(
            "Expected a student with one input, its modality. Received: "
            f"{len(student.inputs)} inputs"
        )


def _logits(outputs):
    if isinstance(outputs, dict) and "logits" in outputs:
        return outputs["logits"]
    if len(keras.tree.flatten(outputs)) != 1:
        raise ValueError(
            'Expected a student that returns logits, or {"logits": ...}. Received: '
            f"{keras.tree.map_structure(lambda x: tuple(x.shape), outputs)}"
        )
    return keras.tree.flatten(outputs)[0]


def as_batches(samples) -> list[np.ndarray]:
    """Batches of an array of samples, or of a list of samples of several sizes."""
    if isinstance(samples, (list, tuple)):
        samples = [np.asarray(sample) for sample in samples]
        if len({sample.shape for sample in samples}) > 1:
            return [sample[None] for sample in samples]
        samples = np.stack(samples) if samples else np.zeros(0)
    samples = np.asarray(samples)
    if samples.ndim < 2 or not len(samples):
        raise ValueError(
            "Expected `samples` to be one or more samples of what users will give, an "
            "array (N, ...) or a list of arrays of several sizes. "
            f"Received: shape {samples.shape}"
        )
    return [samples[i : i + _BATCH] for i in range(0, len(samples), _BATCH)]


def fit(batches: Sequence[np.ndarray], model: keras.Model) -> list[np.ndarray]:
    """The batches in the model's dtype, once it is clear that they fit it."""
    wanted = model.inputs[0]
    for batch in batches:
        same_rank = batch.ndim == len(wanted.shape)
        sizes = zip(batch.shape[1:], wanted.shape[1:], strict=False)
        same = same_rank and all(b is None or a == b for a, b in sizes)
        if not same or not np.can_cast(batch.dtype, wanted.dtype, "same_kind"):
            raise ValueError(
                f"Expected samples of shape {tuple(wanted.shape)[1:]} and dtype "
                f"{wanted.dtype}, the input of what is exported (None: any). "
                f"Received: shape {batch.shape[1:]}, dtype {batch.dtype}"
            )
    return [np.ascontiguousarray(batch, wanted.dtype) for batch in batches]


def logits_of(model: keras.Model, batches: Sequence[np.ndarray]) -> np.ndarray:
    """The logits of all batches, one after the other, in all bits of float32."""
    with devices.full_float32():
        return np.concatenate([np.asarray(model.predict_on_batch(x)) for x in batches])
