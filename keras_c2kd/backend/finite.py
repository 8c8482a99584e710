"""Whether everything is a number, for steps that are left out where it is not."""

import keras
from keras import ops


def all_finite(tensors):
    """A bool scalar; what is None or no floating-point tensor counts as finite."""
    checks = [
        ops.all(ops.isfinite(tensor))
        for tensor in keras.tree.flatten(tensors)
        if tensor is not None
        and keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
    ]
    return ops.all(ops.stack(checks)) if checks else ops.ones((), "bool")


def gradients_to_check(optimizer, gradients):
    """None of them where the loss is scaled: then they overflow now and then."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    return [] if scales else gradients
