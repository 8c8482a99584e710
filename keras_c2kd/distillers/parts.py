"""Parts that the methods with layers of their own have in common."""

import math
from numbers import Real
from typing import Any

import keras
from keras import layers, ops

from keras_c2kd.distillers.taps import is_functional
from keras_c2kd.losses.c2kd_terms import as_class_indices

# What may lie between features and the classifier of their mean.
_POOLING = (
    layers.Dropout,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    layers.Identity,
)


@keras.saving.register_keras_serializable(package="keras_c2kd")
class FeatureVector(layers.Layer):
    """Features as one vector a sample: their mean over positions, in float32.

    Args:
        width: Of the vector; a linear projection follows where the features have
            another. `None` keeps theirs.
        **kwargs: `name`, `trainable` of `keras.layers.Layer`.

    Call arguments:
        features: `(B, D)`, `(B, T, D)` (a padding mask is respected), `(B, H, W, D)` or
            `(B, T, H, W, D)`; channels as `keras.config.image_data_format()` says.

    Returns:
        float32 `(B, width)`.

    Example:

    >>> import numpy as np
    >>> from keras_c2kd.distillers.parts import FeatureVector
    >>> tuple(FeatureVector(width=8)(np.zeros((2, 7, 7, 16), "float32")).shape)
    (2, 8)
    """

    def __init__(self, width: int | None = None, **kwargs: Any):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.width = width
        self.supports_masking = True

    def build(self, input_shape):
        rank = len(input_shape)
        if not 2 <= rank <= 5:
            raise ValueError(
                "Expected features of shape (batch, channels) with up to three axes "
                f"between them. Received: features.shape={tuple(input_shape)}"
            )
        self.pool = None
        if rank > 2:
            pool = getattr(layers, f"GlobalAveragePooling{rank - 2}D")
            self.pool = pool(dtype="float32")
        pooled = self._pooled_shape(input_shape)
        self.projector = None
        if self.width not in (None, pooled[-1]):
            self.projector = layers.Dense(self.width, dtype="float32")
            self.projector.build(pooled)

    def call(self, features):
        x = features if self.pool is None else self.pool(features)
        return x if self.projector is None else self.projector(x)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.width or self._pooled_shape(input_shape)[-1])

    def _pooled_shape(self, shape):
        return (
            tuple(shape) if self.pool is None else self.pool.compute_output_shape(shape)
        )

    def get_config(self):
        config = super().get_config()
        config.pop("dtype")
        return {**config, "width": self.width}


def feature_vectors(teacher_features, student_features, student_logits):
    """Two built `FeatureVector`s, to the teacher's width; the student's may project."""
    if len(student_logits.shape) != 2:
        raise ValueError(
            "Expected logits of shape (batch, classes): the method compares one "
            "feature vector a sample. Received: student logits of shape "
            f"{tuple(student_logits.shape)}"
        )
    check_tapped("teacher", teacher_features)
    check_tapped("student", student_features)
    of_teacher = FeatureVector(name="teacher_vector")
    of_teacher.build(tuple(teacher_features.shape))
    width = of_teacher.compute_output_shape(tuple(teacher_features.shape))[-1]
    of_student = FeatureVector(width, name="student_vector")
    of_student.build(tuple(student_features.shape))
    return of_teacher, of_student


def check_tapped(role: str, features: Any) -> None:
    """Refuse a model without features."""
    if features is None:
        raise ValueError(
            f"Expected `{role}_features` to name the layer whose output is compared; "
            f'or a {role} that returns {{"logits": ..., "features": ...}}. '
            f"Received: {role}_features=None"
        )


def check_positive(name: str, value: Any) -> None:
    """Refuse what is no finite number above 0."""
    if not (isinstance(value, Real) and 0.0 < value < math.inf):
        raise ValueError(
            f"Expected `{name}` to be a finite number above 0. "
            f"Received: {name}={value!r}"
        )


def targets(distiller: Any, labels: Any, logits: Any, complete: Any):
    """Class indices that are classes everywhere, and a mask of those that count."""
    labels = as_class_indices(labels, logits)
    mask = distiller.positions_that_count(labels, logits, complete)
    return (labels if mask is None else ops.where(mask, labels, 0)), mask


def cross_entropy(labels: Any, logits: Any) -> Any:
    """`-log softmax(logits)_y`, float32 of the shape of the labels."""
    log_probabilities = ops.log_softmax(ops.cast(logits, "float32"), axis=-1)
    chosen = ops.take_along_axis(log_probabilities, labels[..., None], axis=-1)
    return -ops.squeeze(chosen, axis=-1)


def classifier_of(logits: Any, features: Any) -> keras.layers.Dense | None:
    """The `Dense` layer that made logits of the mean of features, if one did.

    Args:
        logits: Symbolic output of a Functional model.
        features: Symbolic output of one of its layers.

    Returns:
        The layer, or `None` where more than pooling and dropout is between the two.
    """
    layer, x = _maker(logits)
    if not isinstance(layer, layers.Dense):
        return None
    if layer.activation is not keras.activations.linear:
        return None
    features = _innermost(features)
    while x is not features:
        between, x = _maker(x)
        if not isinstance(between, _POOLING):
            return None
    return layer


def _maker(tensor):
    """The layer that a symbolic tensor comes from, and what that layer was given."""
    layer, node, _ = _innermost(tensor)._keras_history
    given = layer._inbound_nodes[node].input_tensors
    return layer, _innermost(given[0]) if given else None


def _innermost(tensor):
    """A nested model's output as the tensor that it is inside that model."""
    while is_functional(tensor._keras_history.operation):
        model, _, index = tensor._keras_history
        tensor = model.outputs[index]
    return tensor
