"""What goes into a measurement: batches of labels and of logits, checked."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_c2kd.backend import devices


class Batch(NamedTuple):
    """`P` positions a sample: 1, or those of dense logits."""

    labels: np.ndarray  # int64 (B, P)
    counted: np.ndarray  # bool (B, P): labelled, of a sample with both modalities
    logits: dict[str, np.ndarray]  # by role, float32 (B, P, C)
    incomplete: int  # samples that lack a modality


def read(
    models: dict[str, keras.Model],
    modalities: dict[str, str],
    data: Iterator[tuple],
    ignore_class: int | None,
) -> Iterator[Batch]:
    """What the models, by role, say of each batch of `batches`."""
    for inputs, y in data:
        logits = {
            role: _logits(model, inputs, modalities[role], role)
            for role, model in models.items()
        }
        shape = _common_shape(logits)
        complete = _complete(inputs, set(modalities.values()), shape[0])
        classes, known = _class_indices(y, shape, ignore_class, complete)
        counted = known.reshape(shape[0], -1) & complete[:, None]
        logits = {
            role: z.reshape(shape[0], -1, shape[-1]) for role, z in logits.items()
        }
        _check_finite(logits, counted)
        # The rest may be NaN or infinite, as an input that is not there.
        logits = {r: np.where(counted[..., None], z, 0.0) for r, z in logits.items()}
        classes = classes.reshape(shape[0], -1)
        yield Batch(classes, counted, logits, int(np.sum(~complete)))


def batches(data: Any, labels: Any = None, batch_size: int = 32) -> Iterator[tuple]:
    """`(inputs, labels)` of each batch; what cannot be read is refused at the call."""
    if isinstance(data, dict):
        data = (data, labels)
    elif labels is not None:
        raise ValueError(
            "Expected `labels` with a dict of arrays only; a dataset yields its own "
            f"beside the inputs. Received: data of type {type(data).__name__}"
        )
    if isinstance(data, (tuple, list)) and data and isinstance(data[0], dict):
        data = _labelled(data)
        _check_arrays(data, batch_size)
        return _slices(data, batch_size)
    if _endless(data):
        raise ValueError(
            "Expected a dataset that ends; `take(n)` makes one of n batches. "
            f"Received: data={data!r}, which repeats without end"
        )
    return _each(data)


def _labelled(batch):
    inputs, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
    if labels is None:
        raise ValueError("Expected labels beside the inputs. Received: inputs alone")
    return inputs, labels


def _each(data):
    for batch in data:
        yield _labelled(batch)


def _slices(data, batch_size):
    for start in range(0, len(keras.tree.flatten(data)[0]), batch_size):
        rows = slice(start, start + batch_size)
        yield keras.tree.map_structure(lambda a, rows=rows: a[rows], data)


def _endless(data):
    if hasattr(data, "cardinality"):
        return int(data.cardinality()) == -1
    return isinstance(data, keras.utils.PyDataset) and data.num_batches is None


def _check_arrays(data, batch_size):
    if not isinstance(batch_size, int) or batch_size < 1:
        raise ValueError(
            "Expected `batch_size` to be a positive integer. "
            f"Received: batch_size={batch_size!r}"
        )
    lengths = {
        a.shape[0] if getattr(a, "shape", ()) else type(a).__name__
        for a in keras.tree.flatten(data)
    }
    if len(lengths) != 1 or str in map(type, lengths):
        raise ValueError(
            "Expected arrays of one length in `data` and `labels`. "
            f"Received: lengths {', '.join(sorted(map(str, lengths)))}"
        )


def _logits(model, inputs, modality, role):
    """In inference mode, float32 `(B, ..., C)`."""
    if not isinstance(inputs, dict) or modality not in inputs:
        received = sorted(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise ValueError(
            f"Expected inputs with the key {modality!r} for the {role}. "
            f"Received: inputs={received}"
        )
    # A dataset of another framework than the backend's goes in by way of NumPy.
    x = keras.tree.map_structure(
        lambda a: a if ops.is_tensor(a) else np.asarray(a), inputs[modality]
    )
    if keras.config.backend() == "torch":
        model.eval()  # as `predict` does, and `predict_on_batch` does not
    if devices.shares_batches(model):  # where each would predict all of it
        outputs = model(keras.tree.map_structure(ops.convert_to_tensor, x))
    else:
        outputs = model.predict_on_batch(x)
    logits = outputs.get("logits") if isinstance(outputs, dict) else outputs
    if logits is None or isinstance(logits, (list, tuple)):
        raise ValueError(
            f'Expected the {role} to return logits, or a dict with "logits". '
            f"Received: outputs of type {type(outputs).__name__}"
        )
    return _array(logits).astype("float32")


def _common_shape(logits):
    shapes = {role: z.shape for role, z in logits.items()}
    shape = next(iter(shapes.values()))
    if len(set(shapes.values())) != 1 or len(shape) < 2 or shape[-1] < 2:
        raise ValueError(
            "Expected all models to return logits of one shape (batch, ..., classes), "
            "of at least two classes. Received: "
            + ", ".join(f"{role} logits {s}" for role, s in shapes.items())
        )
    return shape


def _complete(inputs, modalities, count):
    """bool `(B,)`: which samples have both modalities, by the entry `"present"`."""
    present = inputs.get("present")
    present = {} if present is None else present
    # A name that is no input is a slip of the pen: nothing would be left out.
    if not isinstance(present, dict) or not present.keys() <= inputs.keys():
        received = sorted(present) if isinstance(present, dict) else type(present)
        raise ValueError(
            "Expected the entry 'present' of the inputs to be a dict from modality to "
            f"one boolean per sample. Received: present={received}"
        )
    complete = np.ones(count, bool)
    for modality in modalities & present.keys():
        flags = np.ravel(_array(present[modality]))
        if len(flags) != count:
            raise ValueError(
                f"Expected {count} booleans, one per sample, of {modality!r} in "
                f"'present'. Received: {len(flags)}"
            )
        complete &= flags.astype(bool)
    return complete


def _class_indices(labels, shape, ignore_class, complete):
    """Integers and which of them name a class, both `(B, ...)`."""
    labels = given = _array(labels)
    if labels.shape == shape:
        one = np.isclose(labels.sum(axis=-1), 1.0, atol=1e-3)
        labels = np.where(one, labels.argmax(axis=-1), -1)
    elif labels.shape == (*shape[:-1], 1):
        labels = labels[..., 0]
    if labels.shape != shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected integer labels of shape {shape[:-1]}, or one-hot labels of "
            f"shape {shape}, as the logits have it. "
            f"Received: {labels.dtype} labels of shape {labels.shape}"
        )
    labels = labels.astype("int64")
    known = (labels >= 0) & (labels < shape[-1])
    ignored = np.isin(labels, [] if ignore_class is None else ignore_class)
    # Void pixels are usual; a whole sample with a label out of range is a mistake.
    if len(shape) == 2 and not (fine := known | ignored | ~complete).all():
        raise ValueError(
            f"Expected labels from 0 to {shape[-1] - 1}, or one-hot rows with a sum of "
            f"1. Received: label {given[~fine][0]}"
        )
    return labels, known & ~ignored


def _array(x):
    return ops.convert_to_numpy(x) if ops.is_tensor(x) else np.asarray(x)


def _check_finite(logits, counted):
    for role, z in logits.items():
        if not np.isfinite(z).all(axis=-1)[counted].all():
            raise ValueError(
                f"Expected finite logits. Received: NaN or infinity from the {role}"
            )
