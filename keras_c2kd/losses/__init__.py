"""Distillation losses: the equation of C2KD."""

from keras_c2kd.losses.c2kd_terms import c2kd_loss_terms

__all__ = ["c2kd_loss_terms"]
