"""What in a batch is no number: an input, a label, a model's logits, a loss term."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

_NAMED = 5  # samples in a message


def explain_non_finite(model: keras.Model, ids: Sequence[str], batch: Any) -> str:
    """The first thing that is not finite in a batch, and of which samples.

    Args:
        model: A distiller, or a model that takes the input of the batch.
        ids: One per sample.
        batch: `(inputs, labels)` or `(inputs, labels, weights)`.

    Returns:
        Words for the end of a sentence.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.diagnostics.non_finite import explain_non_finite
    >>> inputs = keras.Input((2,))
    >>> model = keras.Model(inputs, keras.layers.Dense(3)(inputs))
    >>> x = np.float32([[1, 2], [3, np.nan]])
    >>> explain_non_finite(model, ["one", "two"], (x, np.int32([0, 1])))
    "non-finite input of 'two'"
    """
    batch = keras.tree.map_structure(np.asarray, batch)
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    present = x.get("present", {}) if isinstance(x, dict) else {}
    inputs = x if isinstance(x, dict) else {"input": x}
    for name, value in inputs.items():
        if name == "present":
            continue
        bad = _bad_rows(value) & np.asarray(present.get(name, True), bool)
        if bad.any():
            return f"non-finite {name} of {_named(ids, bad)}"
    if sample_weight is not None and _bad_rows(sample_weight).any():
        bad = _bad_rows(sample_weight)
        return f"non-finite sample_weight of {_named(ids, bad)}"
    outputs = model(keras.tree.map_structure(ops.convert_to_tensor, x), training=False)
    outputs = outputs if isinstance(outputs, dict) else {"logits": outputs}
    if (bad := _out_of_range(y, outputs, model)).any():
        return f"labels out of range of {_named(ids, bad)}"
    for name, value in outputs.items():
        if (bad := _bad_rows(value)).any():
            return f"non-finite {name} of {_named(ids, bad)}"
    terms = _terms(model, y, outputs, sample_weight, x)
    bad = [name for name, value in terms.items() if not np.isfinite(value)]
    among = f"in a batch with {_named(ids, np.ones(len(ids), bool))}"
    if bad:
        return f"non-finite {', '.join(bad)} {among}"
    return f"a non-finite loss or gradient {among}"


def _bad_rows(value):
    """bool `(B,)`: samples with NaN or Inf in a tensor, or in any of a dict of them."""
    bad = False
    for tensor in keras.tree.flatten(value):
        array = ops.convert_to_numpy(tensor)
        if array.dtype.kind not in "biu":
            finite = np.isfinite(array.astype("float32"))
            bad = bad | ~finite.reshape(len(finite), -1).all(axis=1)
    return np.asarray(bad)


def _out_of_range(labels, outputs, model):
    classes = next(iter(outputs.values())).shape[-1]
    if labels is None or labels.dtype.kind not in "iu":
        return np.zeros(1, bool)
    wrong = (labels < 0) | (labels >= classes)
    ignored = getattr(model.loss, "ignore_class", None)
    if ignored is not None:
        wrong &= labels != ignored
    return wrong.reshape(len(labels), -1).any(axis=1)


def _terms(model, labels, outputs, sample_weight, x):
    if "teacher_logits" not in outputs or not hasattr(model, "all_terms"):
        return {}
    terms, _ = model.all_terms(x, labels, outputs, sample_weight)
    return {k: float(ops.convert_to_numpy(value)) for k, (_, value) in terms.items()}


def _named(ids, bad):
    found = [repr(str(ids[row])) for row in np.flatnonzero(bad)]
    more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
    return ", ".join(found[:_NAMED]) + more
