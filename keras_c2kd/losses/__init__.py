"""Distillation losses: the equation of C2KD, and the other methods of the field."""

from keras_c2kd.losses.c2kd_terms import c2kd_loss_terms
from keras_c2kd.losses.distillation import DistillationLoss

__all__ = ["DistillationLoss", "c2kd_loss_terms"]
