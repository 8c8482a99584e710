"""Metrics that compare two models, and the figures of a recipe's table."""

from keras_c2kd.metrics.kendall import KendallRankCorrelation
from keras_c2kd.metrics.segmentation import confusion_matrix, segmentation_scores

__all__ = ["KendallRankCorrelation", "confusion_matrix", "segmentation_scores"]
