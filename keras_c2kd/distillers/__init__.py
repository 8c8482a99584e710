"""Distillers: models that train a teacher and a student together."""

from keras_c2kd.distillers.c2kd import C2KD
from keras_c2kd.distillers.cross_modal import CrossModalDistiller

__all__ = ["C2KD", "CrossModalDistiller"]
