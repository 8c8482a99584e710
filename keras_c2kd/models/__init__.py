"""Encoders and unimodal classifiers, Functional and flat."""

from keras_c2kd.models.resnet import resnet, resnet18, small_resnet

__all__ = ["resnet", "resnet18", "small_resnet"]
