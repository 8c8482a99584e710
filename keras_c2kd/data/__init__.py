"""Readers and pipelines on `tf.data`; the package root never imports this room."""

from keras_c2kd.data.audio import (
    AVE_SPECTROGRAM,
    CREMAD_SPECTROGRAM,
    VGGSOUND_SPECTROGRAM,
    Spectrogram,
)
from keras_c2kd.data.av_mnist import Digits, read_av_mnist
from keras_c2kd.data.ave import read_ave
from keras_c2kd.data.compressed import index_compressed
from keras_c2kd.data.cremad import read_cremad
from keras_c2kd.data.crisismmd import read_crisismmd
from keras_c2kd.data.depth import Depth, decode_sun_depth, encode_sun_depth
from keras_c2kd.data.frames import Frames
from keras_c2kd.data.geometry import IMAGENET_CROPS, Crops
from keras_c2kd.data.image import decode_rgb
from keras_c2kd.data.miniatures.av_mnist import write_av_mnist
from keras_c2kd.data.miniatures.ave import write_ave
from keras_c2kd.data.miniatures.cremad import write_cremad
from keras_c2kd.data.miniatures.crisismmd import write_crisismmd
from keras_c2kd.data.miniatures.nyu_depth_v2 import write_nyu_depth_v2
from keras_c2kd.data.miniatures.sun_rgbd import contact_sheet, write_sun_rgbd
from keras_c2kd.data.miniatures.vggsound import write_vggsound
from keras_c2kd.data.modality import Draws, Modality
from keras_c2kd.data.nyu_depth_v2 import NyuDepth, NyuLabels, NyuRgb, read_nyu_depth_v2
from keras_c2kd.data.pipeline import make_batches, one_modality
from keras_c2kd.data.rgb import Rgb
from keras_c2kd.data.samples import Samples
from keras_c2kd.data.store import Decoded, decode
from keras_c2kd.data.sun_rgbd import OFFICIAL_CLASSES, read_sun_rgbd
from keras_c2kd.data.text import Tokens, load_tokens
from keras_c2kd.data.vggsound import read_vggsound
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
    "Frames",
    "Modality",
    "NyuDepth",
    "NyuLabels",
    "NyuRgb",
    "Rgb",
    "Samples",
    "Spectrogram",
    "Tokens",
    "contact_sheet",
    "decode",
    "decode_rgb",
    "decode_sun_depth",
    "encode_sun_depth",
    "index_compressed",
    "index_wavs",
    "load_tokens",
    "make_batches",
    "one_modality",
    "read_av_mnist",
    "read_ave",
    "read_cremad",
    "read_crisismmd",
    "read_nyu_depth_v2",
    "read_sun_rgbd",
    "read_vggsound",
    "write_av_mnist",
    "write_ave",
    "write_cremad",
    "write_crisismmd",
    "write_nyu_depth_v2",
    "write_sun_rgbd",
    "write_vggsound",
]
