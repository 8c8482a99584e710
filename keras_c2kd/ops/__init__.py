"""Pure functions on `keras.ops`; the last axis holds classes, leading axes are free."""

from keras_c2kd.ops.divergence import (
    kl_divergence,
    non_target_kl_divergence,
    target_kl_divergence,
)
from keras_c2kd.ops.frequency import signed_log, split_frequencies, standardize
from keras_c2kd.ops.kendall import kendall_rank_correlation
from keras_c2kd.ops.reduction import batch_mean
from keras_c2kd.ops.selection import select_samples
from keras_c2kd.ops.transport import euclidean_distances, sinkhorn

__all__ = [
    "batch_mean",
    "euclidean_distances",
    "kendall_rank_correlation",
    "kl_divergence",
    "non_target_kl_divergence",
    "select_samples",
    "signed_log",
    "sinkhorn",
    "split_frequencies",
    "standardize",
    "target_kl_divergence",
]
