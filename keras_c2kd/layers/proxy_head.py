"""ProxyHead: the small classifier through which a model teaches and learns."""

from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.ops.reduction import align

_POOLING = {
    3: layers.GlobalAveragePooling1D,
    4: layers.GlobalAveragePooling2D,
    5: layers.GlobalAveragePooling3D,
}


@keras.saving.register_keras_serializable(package="keras_c2kd")
class ProxyHead(layers.Layer):
    """A second, disposable classifier on a model's features.

    Knowledge of another modality reaches a model through its proxy, never directly, so
    that what one modality cannot see does not have to be imitated by the model itself.

        p = classifier(LeakyReLU(BatchNorm(Linear(GAP(features)))))

    The linear map has no bias; its width is that of the features. The classifier
    computes in float32 under any policy: bfloat16 logits would tie, and ties change
    the rank correlation.

    Args:
        num_classes: Number of logits, at least 2.
        pooling: `"average"` pools features to one vector a sample; `None` keeps one
            logits vector per position (segmentation).
        **kwargs: `name`, `dtype`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        features: `(B, D)`, `(B, T, D)` (a padding mask is respected), `(B, H, W, D)` or
            `(B, T, H, W, D)`; channels as `keras.config.image_data_format()` says.
        training: Whether BatchNorm uses the statistics of the batch.
        present: bool `(B,)`, the samples that count in these statistics; `None`: all.

    Returns:
        float32 logits, `(B, num_classes)`, or `(B, ..., num_classes)` without pooling.

    `get_weights()` is, in order: linear kernel, BatchNorm gamma, beta, moving mean,
    moving variance, classifier kernel, bias.

    Raises:
        ValueError: fewer than two classes, unknown pooling, features of another rank.

    Example:

    >>> import numpy as np
    >>> from keras_c2kd import ProxyHead
    >>> tuple(ProxyHead(10)(np.zeros((2, 7, 7, 256), "float32")).shape)
    (2, 10)

    Reference:
        F. Huo et al., "C2KD", CVPR 2024; epsilon 1e-5, momentum 0.9 (0.1 in PyTorch's
        convention) and slope 0.1 are those of the released code.
    """

    def __init__(
        self, num_classes: int, pooling: str | None = "average", **kwargs: Any
    ):
        super().__init__(**kwargs)
        if not isinstance(num_classes, int) or num_classes < 2:
            raise ValueError(
                "Expected `num_classes` to be an integer of at least 2. "
                f"Received: num_classes={num_classes!r}"
            )
        if pooling not in ("average", None):
            raise ValueError(
                'Expected `pooling` to be "average" or None. '
                f"Received: pooling={pooling!r}"
            )
        self.num_classes = num_classes
        self.pooling = pooling
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        pools = self.pooling == "average" and rank > 2
        if rank < 2 or (pools and rank not in _POOLING):
            raise ValueError(
                "Expected features of shape (batch, channels) with one to three axes "
                f"between them. Received: features.shape={tuple(input_shape)}"
            )
        channels_first = (
            pools and rank > 3 and keras.config.image_data_format() == "channels_first"
        )
        width = input_shape[1] if channels_first else input_shape[-1]
        self.pool = _POOLING[rank](dtype=self.dtype_policy) if pools else None
        self.linear = layers.Dense(width, use_bias=False, dtype=self.dtype_policy)
        self.norm = layers.BatchNormalization(
            epsilon=1e-5, momentum=0.9, dtype=self.dtype_policy
        )
        self.activation = layers.LeakyReLU(0.1, dtype=self.dtype_policy)
        self.classifier = layers.Dense(self.num_classes, dtype="float32")
        inner = (None, width) if pools else (*input_shape[:-1], width)
        for layer in (self.linear, self.norm, self.classifier):
            layer.build(inner)

    def call(self, features, training=None, mask=None, present=None):
        x = features
        if self.pool is not None:
            takes_mask = isinstance(self.pool, layers.GlobalAveragePooling1D)
            x = self.pool(x, mask=mask) if takes_mask else self.pool(x)
            mask = None
        x = self.linear(x)
        if present is not None:
            everywhere = ops.ones(ops.shape(x)[:-1], "bool") if mask is None else mask
            mask = ops.logical_and(everywhere, align(present, everywhere))
        x = self.norm(x, training=training, mask=mask)
        return self.classifier(self.activation(x))

    def compute_mask(self, inputs, mask=None):
        return None if self.pooling else mask

    def compute_output_shape(self, input_shape):
        kept = input_shape[:1] if self.pooling else input_shape[:-1]
        return (*kept, self.num_classes)

    def get_config(self):
        config = {"num_classes": self.num_classes, "pooling": self.pooling}
        return {**super().get_config(), **config}
