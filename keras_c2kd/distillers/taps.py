"""Feature taps: a model's logits and the output of one of its layers, in one pass."""

from collections.abc import Callable
from typing import Any

import keras


class FeatureTap:
    """Calls a model and returns `(logits, features)`.

    It is no Keras object on purpose: it shares the layers of the model it wraps, and a
    distiller that tracked it would list, save and count them twice.

    Args:
        model: Any Keras model. A Functional or Sequential model is tapped at a layer; a
            model that returns `{"logits": ..., "features": ...}` taps itself.
        path: A layer's name, `"backbone/stage3"` for a layer of a nested model, or
            `None` for the model's own features (none, if it returns logits alone).
        role: `"teacher"` or `"student"`, for error messages.

    Raises:
        ValueError: no such layer (those that are there are listed), or a `path` into a
            subclassed model, whose layers have no fixed outputs.
    """

    def __init__(self, model: keras.Model, path: str | None, role: str):
        self.model, self.path, self.role = model, path, role
        self._forward = model
        if path is not None:
            self._check_functional()
            self._forward = tapped(model, path.split("/"), f"{role}_features")

    def __call__(self, x: Any, training: bool | None = None) -> tuple[Any, Any]:
        # A frozen model is used, not trained: no dropout, no new BatchNorm statistics.
        training = bool(training) and self.model.trainable
        return self._split(self._forward(x, training=training))

    def spec(self, input_shape: Any = None) -> tuple[Any, Any]:
        """Symbolic `(logits, features)`; a subclassed model needs its input's shape."""
        if is_functional(self.model):
            outputs = self._forward.outputs[0]
            if not isinstance(self._forward, keras.Sequential):
                outputs = self._forward.output
            return self._split(outputs)
        if input_shape is None:
            raise ValueError(
                f"Expected paired inputs in the first call, to build the {self.role}, "
                "a subclassed model. Received: inputs for the student alone"
            )
        shapes = keras.tree.map_shape_structure(keras.KerasTensor, input_shape)
        return self._split(self._forward(shapes))

    def _split(self, outputs):
        if self.path is not None:
            outputs, features = outputs
        else:
            features = outputs.get("features") if isinstance(outputs, dict) else None
        return logits_of(outputs, self.role), features

    def _check_functional(self):
        if not is_functional(self.model):
            raise ValueError(
                f"Expected `{self.role}_features=None` for a subclassed model: its "
                'layers have no fixed outputs. Let its call() return {"logits": ..., '
                '"features": ...} instead (and call a Sequential model with an Input '
                f"once). Received: {self.role}_features={self.path!r}"
            )


def is_functional(model: keras.Model) -> bool:
    """Whether the model is a graph of layers that can be tapped by name."""
    return isinstance(model, keras.Model) and bool(getattr(model, "inputs", None))


def logits_of(outputs: Any, role: str) -> Any:
    """The logits among a model's outputs."""
    logits = outputs.get("logits") if isinstance(outputs, dict) else outputs
    if logits is None or isinstance(logits, (list, tuple)):
        received = (
            list(outputs) if isinstance(outputs, dict) else type(outputs).__name__
        )
        raise ValueError(
            f"Expected the {role} to return one logits tensor, or a dict with "
            f'"logits" and "features". Received: outputs={received}'
        )
    return logits


def tapped(model: keras.Model, path: list[str], argument: str) -> keras.Model:
    """A model on the same layers that returns `[outputs, output of the layer]`."""
    name, *inside = path
    layer = find_layer(model, name, argument)
    if isinstance(model, keras.Sequential):
        # The same graph, with an input and an output to take hold of.
        model = keras.Model(model.inputs[0], model.outputs[0])
    if not inside:
        return keras.Model(model.input, [model.output, layer.output])
    if not is_functional(layer):
        raise ValueError(
            f"Expected a nested Functional model where `{argument}` has a '/'. "
            f"Received: {argument} with {name!r}, a {type(layer).__name__}"
        )
    inner = tapped(layer, inside, argument)
    features = []

    def call_and_keep(called, *args, **kwargs):
        if called is not layer:
            return called(*args, **kwargs)
        outputs, tap = inner(*args, **kwargs)
        features.append(tap)
        return outputs

    # The inner tensors of a nested model are not part of the outer graph, so the outer
    # graph is walked once more, over the same layers.
    walked = keras.models.clone_model(
        model, clone_function=lambda same: same, call_function=call_and_keep
    )
    return keras.Model(walked.input, [walked.output, features[0]])


def find_layer(model: keras.Model, name: str, argument: str) -> Callable:
    """The layer of that name, or an error that lists the names there are."""
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(
            f"Expected `{argument}` to name a layer of {model.name!r}, one of "
            f"{', '.join(names)}. Received: {argument} with {name!r}"
        )
    return model.get_layer(name)
