"""Distillers: models that train a teacher and a student together."""

from keras_c2kd.distillers.c2kd import C2KD
from keras_c2kd.distillers.cross_modal import CrossModalDistiller
from keras_c2kd.distillers.fd_cmkd import FDCMKD
from keras_c2kd.distillers.shake import SHAKE
from keras_c2kd.distillers.ucmkd import UCMKD

__all__ = ["C2KD", "FDCMKD", "SHAKE", "UCMKD", "CrossModalDistiller"]
