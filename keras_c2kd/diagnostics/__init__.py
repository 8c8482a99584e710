"""How far apart two modalities are, before, during and after distillation."""

from keras_c2kd.diagnostics.broken import find_broken
from keras_c2kd.diagnostics.modality_gap import measure_modality_gap
from keras_c2kd.diagnostics.report import (
    Agreement,
    Imbalance,
    Misalignment,
    ModalityGap,
    RankAgreement,
)

__all__ = [
    "Agreement",
    "Imbalance",
    "Misalignment",
    "ModalityGap",
    "RankAgreement",
    "find_broken",
    "measure_modality_gap",
]
