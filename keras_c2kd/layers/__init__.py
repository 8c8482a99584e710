"""Layers: the proxy head and the selection-and-loss layer."""

from keras_c2kd.layers.ofsd import OFSD
from keras_c2kd.layers.proxy_head import ProxyHead

__all__ = ["OFSD", "ProxyHead"]
