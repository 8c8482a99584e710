"""A copy of a student that computes in float32, which every format can hold."""

import keras


def in_float32(student: keras.Model) -> keras.Model:
    """Copies a student that was trained with a mixed policy.

    Its weights are float32 already; only what is computed from them was rounded.

    Args:
        student: a Functional or Sequential model.

    Returns:
        The same model with the same weights, of policy `"float32"`; its logits differ
        by what bfloat16 or float16 rounded.

    Raises:
        ValueError: a subclassed model.

    Example:

    >>> import keras
    >>> from keras_c2kd.export import in_float32
    >>> inputs = keras.Input((4,))
    >>> outputs = keras.layers.Dense(3, dtype="mixed_bfloat16")(inputs)
    >>> in_float32(keras.Model(inputs, outputs)).layers[-1].compute_dtype
    'float32'
    """
    if not isinstance(student, keras.Model) or not (
        isinstance(student, keras.Sequential) or hasattr(student, "operations")
    ):
        raise ValueError(
            "Expected a Functional or Sequential model; build a subclassed one with "
            f'dtype="float32". Received: {type(student).__name__}'
        )
    copy = type(student).from_config(_in_float32(student.get_config()))
    if not copy.built:
        copy.build(student.input_shape)
    copy.set_weights(student.get_weights())
    return copy


def _in_float32(config):
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and _is_low(config["config"]):
            return {**config, "config": {**config["config"], "name": "float32"}}
        return {name: _in_float32(value) for name, value in config.items()}
    if isinstance(config, (list, tuple)):
        return type(config)(_in_float32(value) for value in config)
    return config


def _is_low(config):
    return config["name"] in ("mixed_bfloat16", "mixed_float16", "bfloat16", "float16")


def lower_precision(model: keras.Model) -> list[str]:
    """Names of the layers that compute in fewer bits than float32."""
    return [
        layer.name
        for layer in model._flatten_layers(include_self=False)
        if layer.compute_dtype in ("bfloat16", "float16")
        and not isinstance(layer, keras.layers.InputLayer)  # computes nothing
    ]
