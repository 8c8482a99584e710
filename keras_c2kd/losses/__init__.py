"""Distillation losses: the equation of C2KD, and the other methods of the field."""

from keras_c2kd.losses.c2kd_terms import c2kd_loss_terms
from keras_c2kd.losses.dist import DIST
from keras_c2kd.losses.distillation import DistillationLoss
from keras_c2kd.losses.dkd import DKD
from keras_c2kd.losses.dml import DML
from keras_c2kd.losses.fitnets import FitNets
from keras_c2kd.losses.kd import KD
from keras_c2kd.losses.nkd import NKD
from keras_c2kd.losses.rkd import RKD

__all__ = [
    "DIST",
    "DKD",
    "DML",
    "KD",
    "NKD",
    "RKD",
    "DistillationLoss",
    "FitNets",
    "c2kd_loss_terms",
]
