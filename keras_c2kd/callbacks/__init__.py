"""Callbacks for a distillation run."""

from keras_c2kd.callbacks.modality_gap_logger import ModalityGapLogger
from keras_c2kd.callbacks.stop_on_non_finite import StopOnNonFinite
from keras_c2kd.callbacks.student_checkpoint import StudentCheckpoint
from keras_c2kd.callbacks.training_checkpoint import Position, TrainingCheckpoint

__all__ = [
    "ModalityGapLogger",
    "Position",
    "StopOnNonFinite",
    "StudentCheckpoint",
    "TrainingCheckpoint",
]
