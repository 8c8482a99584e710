"""Readers and pipelines on `tf.data`; the package root never imports this room."""

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

__all__ = [
    "IMAGENET_CROPS",
    "OFFICIAL_CLASSES",
    "Crops",
    "Decoded",
    "Depth",
    "Draws",
    "Modality",
    "Rgb",
    "Samples",
    "contact_sheet",
    "decode",
    "decode_rgb",
    "decode_sun_depth",
    "encode_sun_depth",
    "make_batches",
    "one_modality",
    "read_sun_rgbd",
    "write_sun_rgbd",
]
