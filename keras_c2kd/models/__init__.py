"""Encoders and unimodal classifiers, Functional and flat."""

from keras_c2kd.models.frames import over_frames
from keras_c2kd.models.resnet import resnet, resnet18, small_resnet
from keras_c2kd.models.segmentation import segmenter

__all__ = ["over_frames", "resnet", "resnet18", "segmenter", "small_resnet"]
