"""Readers and pipelines on `tf.data`; the package root never imports this room."""

from keras_c2kd.data.audio import (
    AVE_SPECTROGRAM,
    CREMAD_SPECTROGRAM,
    VGGSOUND_SPECTROGRAM,
    Spectrogram,
)
from keras_c2kd.data.av_mnist import Digits, read_av_mnist
from keras_c2kd.data.depth import Depth, decode_sun_depth, encode_sun_depth
from keras_c2kd.data.geometry import IMAGENET_CROPS, Crops
from keras_c2kd.data.image import decode_rgb
from keras_c2kd.data.miniatures.sun_rgbd import contact_sheet, write_sun_rgbd
from keras_c2kd.data.modality import Draws, Modality
from keras_c2kd.data.pipeline import make_batches, one_modality
from keras_c2kd.data.rgb import Rgb
from keras_c2kd.data.samples import Samples
from keras_c2kd.data.store import Decoded, decode
from keras_c2kd.data.sun_rgbd import OFFICIAL_CLASSES, read_sun_rgbd
from keras_c2kd.data.wav import index_wavs

__all__ = [
    "AVE_SPECTROGRAM",
    "CREMAD_SPECTROGRAM",
    "IMAGENET_CROPS",
    "OFFICIAL_CLASSES",
    "VGGSOUND_SPECTROGRAM",
    "Crops",
    "Decoded",
    "Depth",
    "Digits",
    "Draws",
    "Modality",
    "Rgb",
    "Samples",
    "Spectrogram",
    "contact_sheet",
    "decode",
    "decode_rgb",
    "decode_sun_depth",
    "encode_sun_depth",
    "index_wavs",
    "make_batches",
    "one_modality",
    "read_av_mnist",
    "read_sun_rgbd",
    "write_sun_rgbd",
]
