"""Callbacks for a distillation run."""

from keras_c2kd.callbacks.stop_on_non_finite import StopOnNonFinite
from keras_c2kd.callbacks.student_checkpoint import StudentCheckpoint

__all__ = ["StopOnNonFinite", "StudentCheckpoint"]
