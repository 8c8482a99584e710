"""The one room that differs between backends: gradient mechanics, no algorithm.

Everything is chosen once, when the package is imported, as Keras chooses its own.
"""

import keras

if keras.config.backend() == "tensorflow":
    from keras_c2kd.backend import tensorflow_devices as devices
    from keras_c2kd.backend.tensorflow_compiled import COMPILES, compiled, sort
    from keras_c2kd.backend.tensorflow_train_step import (
        TensorFlowTrainStep as TrainStep,
    )
    from keras_c2kd.backend.tensorflow_train_step import (
        mean_over_replicas,
        share_of_mean,
    )
elif keras.config.backend() == "jax":
    from keras_c2kd.backend import jax_devices as devices
    from keras_c2kd.backend.jax_compiled import COMPILES, compiled, sort
    from keras_c2kd.backend.jax_train_step import JAXTrainStep as TrainStep
    from keras_c2kd.backend.jax_train_step import mean_over_replicas, share_of_mean
elif keras.config.backend() == "torch":
    from keras_c2kd.backend import torch_devices as devices
    from keras_c2kd.backend.torch_compiled import COMPILES, compiled, sort
    from keras_c2kd.backend.torch_train_step import TorchTrainStep as TrainStep
    from keras_c2kd.backend.torch_train_step import mean_over_replicas, share_of_mean
else:
    raise ImportError(
        "keras_c2kd trains on the TensorFlow, JAX and torch backends of Keras; set "
        "KERAS_BACKEND to one of them. "
        f"Received: keras.config.backend()={keras.config.backend()!r}"
    )

__all__ = [
    "COMPILES",
    "TrainStep",
    "compiled",
    "devices",
    "mean_over_replicas",
    "share_of_mean",
    "sort",
]
