"""find_broken: what is wrong with a model that runs without a complaint."""

from itertools import islice
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_c2kd.diagnostics.batches import batches, read

_SAME = 1e-6  # of the size of the logits


def find_broken(
    model: keras.Model,
    data: Any,
    labels: Any = None,
    *,
    modality: str,
    role: str = "teacher",
    batch_size: int = 32,
    most_batches: int | None = None,
    ignore_class: int | None = None,
) -> list[str]:
    """Signs that a model learned nothing, was loaded wrongly, or has collapsed.

    A teacher with weights of another architecture, of inputs in another range, or with
    BatchNorm that was never trained gives soft labels like any other; distillation
    from it costs hours and teaches nothing. Looked at are the accuracy, against that of
    one constant answer (within two standard errors of it is nothing learned), logits
    that do not depend on the input, and BatchNorm statistics as they were made.

    Args:
        model: Returns logits `(B, ..., C)`, or a dict with `"logits"`.
        data: As for `measure_modality_gap`; validation, never test.
        labels: Integers `(N, ...)` where `data` holds arrays.
        modality: Key of the model's input.
        role: What the sentences call it.
        batch_size: For arrays.
        most_batches: Of `data`, from its beginning; `None`: all.
        ignore_class: A label that is left out.

    Returns:
        Sentences; none where nothing is wrong.

    Raises:
        ValueError: data that cannot be read, logits that are not finite.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd.diagnostics import find_broken
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, keras.layers.Dense(2)(0.0 * inputs))
    >>> data, labels = {"depth": np.eye(4)}, np.int32([0, 1, 0, 1])
    >>> find_broken(model, data, labels, modality="depth")
    ['the teacher gives every input the same logits']
    """
    found = [f"the {role} {words}" for words in _untrained_statistics(model)]
    parts = islice(batches(data, labels, batch_size), most_batches)
    count, right = 0, 0
    seen, answers, lowest, highest = 0, 0, np.inf, -np.inf
    for batch in read({role: model}, {role: modality}, parts, ignore_class):
        counted, z = batch.counted, batch.logits[role]
        if not counted.any():
            continue
        of_class = np.eye(z.shape[-1], dtype=int)
        wanted, answered = batch.labels[counted], z[counted].argmax(axis=-1)
        count, right = count + len(wanted), right + int((wanted == answered).sum())
        seen = seen + of_class[wanted].sum(axis=0)
        answers = answers + of_class[answered].sum(axis=0)
        lowest = np.minimum(lowest, z[counted].min(axis=0))
        highest = np.maximum(highest, z[counted].max(axis=0))
    if count < 2:
        return found
    size = max(np.abs(lowest).max(), np.abs(highest).max())
    if (highest - lowest).max() <= _SAME * size:
        return [*found, f"the {role} gives every input the same logits"]
    if answers.max() == count > seen.max():
        one = int(answers.argmax())
        return [*found, f"the {role} says class {one} of all {count} samples"]
    constant = seen.max() / count
    error = np.sqrt(constant * (1.0 - constant) / count)
    if right / count <= constant + 2.0 * error < 1.0:
        found.append(
            f"the {role} is right in {right / count:.1%} of {count} samples, no more "
            f"than chance: always the same class would be in {constant:.1%}"
        )
    return found


def _untrained_statistics(model):
    norms = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.built
    ]
    fresh = [
        norm.name
        for norm in norms
        if not np.any(ops.convert_to_numpy(norm.moving_mean))
        and np.all(ops.convert_to_numpy(norm.moving_variance) == 1.0)
    ]
    if fresh:
        yield (
            f"has BatchNorm statistics that were never updated, in {len(fresh)} of "
            f"{len(norms)} layers ({', '.join(fresh[:3])})"
        )
