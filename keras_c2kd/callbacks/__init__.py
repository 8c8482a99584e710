"""Callbacks for a distillation run."""

from keras_c2kd.callbacks.distillation_watch import DistillationWatch
from keras_c2kd.callbacks.modality_gap_logger import ModalityGapLogger
from keras_c2kd.callbacks.non_finite_guard import NonFiniteGuard
from keras_c2kd.callbacks.student_checkpoint import StudentCheckpoint
from keras_c2kd.callbacks.training_checkpoint import Position, TrainingCheckpoint

__all__ = [
    "DistillationWatch",
    "ModalityGapLogger",
    "NonFiniteGuard",
    "Position",
    "StudentCheckpoint",
    "TrainingCheckpoint",
]
