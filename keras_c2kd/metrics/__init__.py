"""Metrics that compare two models."""

from keras_c2kd.metrics.kendall import KendallRankCorrelation

__all__ = ["KendallRankCorrelation"]
