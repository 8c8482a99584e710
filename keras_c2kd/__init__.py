"""Cross-modal knowledge distillation for Keras 3."""

from keras_c2kd import callbacks, distillers, distribution, layers, losses, metrics, ops
from keras_c2kd._version import __version__
from keras_c2kd.distillers.c2kd import C2KD
from keras_c2kd.distillers.cross_modal import CrossModalDistiller
from keras_c2kd.layers.ofsd import OFSD
from keras_c2kd.layers.proxy_head import ProxyHead

__all__ = [
    "C2KD",
    "CrossModalDistiller",
    "OFSD",
    "ProxyHead",
    "__version__",
    "callbacks",
    "distillers",
    "distribution",
    "layers",
    "losses",
    "metrics",
    "ops",
]
