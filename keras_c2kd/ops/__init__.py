"""Pure functions on `keras.ops`; the last axis holds classes, leading axes are free."""

from keras_c2kd.ops.divergence import (
    kl_divergence,
    non_target_kl_divergence,
    target_kl_divergence,
)
from keras_c2kd.ops.kendall import kendall_rank_correlation
from keras_c2kd.ops.reduction import batch_mean
from keras_c2kd.ops.selection import select_samples

__all__ = [
    "batch_mean",
    "kendall_rank_correlation",
    "kl_divergence",
    "non_target_kl_divergence",
    "select_samples",
    "target_kl_divergence",
]
