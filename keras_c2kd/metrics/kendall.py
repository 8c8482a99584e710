"""KendallRankCorrelation: the agreement of two rankings as a Keras metric."""

import keras

from keras_c2kd.ops.kendall import kendall_rank_correlation


@keras.saving.register_keras_serializable(package="keras_c2kd")
class KendallRankCorrelation(keras.metrics.MeanMetricWrapper):
    """Mean Kendall rank correlation between two sets of logits.

    Tells how alike two models rank the classes, whatever their accuracy; rows without
    a rank correlation (constant logits) count as 0.

    Args:
        variant: `"b"` (SciPy's, ties discounted) or `"a"`.
        name: Name in the logs.
        dtype: Dtype of the running mean.

    `update_state(y_true, y_pred, sample_weight=None)` takes logits of shape
    `(..., C)` for both.

    Example:

    >>> from keras_c2kd.metrics import KendallRankCorrelation
    >>> metric = KendallRankCorrelation()
    >>> metric.update_state([[1.0, 2.0, 3.0]], [[0.1, 0.2, 0.3]])
    >>> float(metric.result())
    1.0

    Reference:
        M. G. Kendall, "The Treatment of Ties in Ranking Problems", Biometrika, 1945.
    """

    def __init__(self, variant: str = "b", name: str = "krc", dtype=None):
        super().__init__(
            kendall_rank_correlation, name=name, dtype=dtype, variant=variant
        )
        self.variant = variant
        self._direction = "up"

    def get_config(self):
        return {"variant": self.variant, "name": self.name, "dtype": self.dtype}
