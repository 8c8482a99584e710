"""Samples that lack a modality: what of them takes part, and what does not."""

from typing import Any, NamedTuple

import keras
from keras import ops

from keras_c2kd.backend import mean_over_replicas
from keras_c2kd.ops.reduction import align

KEY = "present"  # in the input dict: modality to bool (B,)


class Presence(NamedTuple):
    """Something of each sample for the teacher's modality and for the student's."""

    teacher: Any
    student: Any

    @property
    def complete(self):
        """Which samples have both: all that crosses is between those."""
        return ops.logical_and(self.teacher, self.student)


def presence_of(distiller: Any, inputs: Any) -> Presence | None:
    """The entry `"present"` of the inputs; `None` where every sample is complete.

    Args:
        distiller: a `CrossModalDistiller`, for its two modalities.
        inputs: what it was called with.

    Returns:
        `Presence`, or `None`.

    Raises:
        ValueError: an entry that is no dict of the two modalities.
    """
    if not isinstance(inputs, dict) or distiller.teacher_modality not in inputs:
        return None
    present = inputs.get(KEY)
    if present is None:
        return None
    names = distiller.teacher_modality, distiller.student_modality
    if not isinstance(present, dict) or not present or not set(present) <= set(names):
        received = sorted(present) if isinstance(present, dict) else type(present)
        raise ValueError(
            f"Expected the entry {KEY!r} of the inputs to be a dict of booleans, one "
            f"per sample, under {names[0]!r}, {names[1]!r} or both. "
            f"Received: {KEY}={received}"
        )
    first = next(iter(present.values()))
    everyone = ops.ones_like(ops.cast(first, "bool"))
    flags = (ops.cast(present.get(name, everyone), "bool") for name in names)
    return Presence(*(ops.reshape(flag, (-1,)) for flag in flags))


def fill(inputs: Any, there: Any) -> Any:
    """Rows that are not there become copies of rows that are.

    What stands in for a missing image must not reach a BatchNorm as an image of
    zeros; its loss is not counted.

    Args:
        inputs: a tensor, or a dict of them, first axis = samples.
        there: bool `(B,)`.

    Returns:
        The same structure.
    """
    there_first = ops.argsort(ops.cast(ops.logical_not(there), "int32"))
    count = ops.maximum(ops.sum(ops.cast(there, "int32")), 1)
    rows = ops.arange(ops.shape(there)[0], dtype="int32")
    stand_in = ops.take(there_first, ops.mod(rows, count))
    rows = ops.where(there, rows, ops.cast(stand_in, "int32"))
    return keras.tree.map_structure(lambda x: ops.take(x, rows, axis=0), inputs)


def weights_of(presence: Presence | None, sample_weight: Any) -> Presence:
    """Sample weights under which a mean over the batch is one over what is there.

    Args:
        presence: which samples have what; `None`: all of it.
        sample_weight: `None`, `(B,)` or `(B, ...)`.

    Returns:
        The weights of the teacher's and of the student's task loss.
    """
    if presence is None:
        return Presence(sample_weight, sample_weight)
    return Presence(*(_weight(there, sample_weight) for there in presence))


def without_weightless(values: Any, mask: Any, sample_weight: Any) -> Any:
    """A mask for `values`, or `None`: what weighs nothing is not observed either."""
    if sample_weight is None:
        return mask
    counts = align(ops.cast(sample_weight, "float32"), values) > 0.0
    if mask is not None:
        counts = ops.logical_and(counts, ops.cast(mask, "bool"))
    return ops.logical_and(counts, ops.ones_like(values, "bool"))


def _weight(there, sample_weight):
    share = ops.cast(there, "float32")
    weight = share / ops.maximum(mean_over_replicas(ops.mean(share)), 1e-9)
    if sample_weight is None:
        return weight
    sample_weight = ops.cast(sample_weight, "float32")
    return sample_weight * align(weight, sample_weight)
