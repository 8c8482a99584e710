"""The mean over a batch that every distillation term uses."""

from typing import Any

from keras import ops

from keras_c2kd.backend import mean_over_replicas


def batch_mean(values: Any, sample_weight: Any = None, mask: Any = None) -> Any:
    """Mean over the whole batch, weights in the numerator only.

    The denominator stays the batch: a sample that is not selected or weighs 0 makes
    the term smaller, it does not make the others larger. Only a masked position (a
    void pixel, padding) is not part of the batch at all.

        sum(mask * weight * values) / max(sum(mask), 1)

    Args:
        values: float32, shape `(B, ...)`.
        sample_weight: `None`, or shape `(B,)`, `(B, 1)` or `(B, ...)`.
        mask: `None`, or bool of the shape of `values`.

    Returns:
        A float32 scalar; 0.0 for an empty batch or where everything is masked.

    Example:

    >>> from keras_c2kd.ops import batch_mean
    >>> import numpy as np
    >>> float(batch_mean(np.float32([1, 3]), sample_weight=np.float32([1, 0])))
    0.5
    """
    values = ops.cast(values, "float32")
    if sample_weight is not None:
        values = values * align(ops.cast(sample_weight, values.dtype), values)
    if mask is None:
        return ops.sum(values) / ops.maximum(
            ops.cast(ops.size(values), values.dtype), 1.0
        )
    mask = ops.cast(mask, "bool")
    # `where` before the sum: a masked position may hold NaN.
    total = ops.sum(ops.where(mask, values, 0.0))
    # With replicas, it is the global batch that has so and so many of them.
    count = mean_over_replicas(ops.sum(ops.cast(mask, values.dtype)))
    return total / ops.where(count > 0, count, 1.0)


def align(sample_weight: Any, values: Any) -> Any:
    """Give a per-sample weight the trailing axes it needs to multiply `values`."""
    weight = ops.convert_to_tensor(sample_weight)
    if len(weight.shape) == len(values.shape) + 1 and weight.shape[-1] == 1:
        weight = ops.squeeze(weight, axis=-1)
    while len(weight.shape) < len(values.shape):
        weight = ops.expand_dims(weight, axis=-1)
    return weight
