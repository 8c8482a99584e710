"""Readers and pipelines on `tf.data`; the package root never imports this room."""

from keras_c2kd.data.depth import decode_sun_depth, encode_sun_depth
from keras_c2kd.data.image import decode_rgb
from keras_c2kd.data.miniature import contact_sheet, write_sun_rgbd
from keras_c2kd.data.pairs import (
    SUN_RGBD_DECODERS,
    DecodedPairs,
    Decoder,
    PairIndex,
    decode_pairs,
)
from keras_c2kd.data.pipeline import make_batches
from keras_c2kd.data.sun_rgbd import OFFICIAL_CLASSES, read_sun_rgbd

__all__ = [
    "OFFICIAL_CLASSES",
    "SUN_RGBD_DECODERS",
    "DecodedPairs",
    "Decoder",
    "PairIndex",
    "contact_sheet",
    "decode_pairs",
    "decode_rgb",
    "decode_sun_depth",
    "encode_sun_depth",
    "make_batches",
    "read_sun_rgbd",
    "write_sun_rgbd",
]
