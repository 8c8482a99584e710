"""The student as files to ship: written, loaded where they will run, then put in place.

TensorFlow is needed in other processes alone, whatever backend the student is on.
"""

from keras_c2kd.export.card import model_card
from keras_c2kd.export.export import export_student
from keras_c2kd.export.float32 import in_float32
from keras_c2kd.export.image import depth_preprocessing, image_preprocessing
from keras_c2kd.export.int8 import Int8Report, quantize_student
from keras_c2kd.export.modality import preprocessing_for
from keras_c2kd.export.report import ExportedFile, ExportError, ExportReport
from keras_c2kd.export.waveform import waveform_preprocessing

__all__ = [
    "ExportError",
    "ExportReport",
    "ExportedFile",
    "Int8Report",
    "depth_preprocessing",
    "export_student",
    "image_preprocessing",
    "in_float32",
    "model_card",
    "preprocessing_for",
    "quantize_student",
    "waveform_preprocessing",
]
