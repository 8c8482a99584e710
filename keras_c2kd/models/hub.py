"""ResNet-18, 34 and 50 of keras-hub, flat, with stages that can be tapped by name."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

_BLOCKS = {
    18: ("basic_block", (2, 2, 2, 2)),
    34: ("basic_block", (3, 4, 6, 3)),
    50: ("bottleneck_block", (3, 4, 6, 3)),
}
_WIDTHS = (64, 128, 256, 512)


def hub_resnet(
    depth: int,
    input_shape: tuple[int, int, int],
    num_classes: int,
    scale: Any = 1.0,
    offset: Any = 0.0,
    preset: str | None = None,
    name: str | None = None,
) -> keras.Model:
    """A ResNet classifier on keras-hub's backbone.

    It is flat and made of stock layers: the student loads with Keras alone, keras-hub
    is needed to build it only.

    Args:
        depth: 18, 34 or 50.
        input_shape: `(height, width, channels)`.
        num_classes: Number of logits.
        scale: Multiplies the input, one number or one per channel.
        offset: Added to the scaled input.
        preset: Of keras-hub, as `"resnet_18_imagenet"`, or a folder: pre-trained
            weights. For one channel the kernels of its first layer are added up, so
            that it sees what a grey image would show it.
        name: Name of the model.

    Returns:
        A Functional model from float32 images `(B, height, width, channels)` to logits
        `(B, num_classes)`; taps are `"stage1"` to `"stage4"`, the paper's `"stage3"`.

    Raises:
        ValueError: another depth, a preset that is no ResNet of this depth, channels
            that a preset cannot take.

    Example:

    ```python
    model = hub_resnet(18, (64, 64, 3), num_classes=8)
    model.get_layer("stage3").output.shape  # (None, 4, 4, 256)
    ```

    Reference:
        K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """
    if depth not in _BLOCKS:
        raise ValueError(
            f"Expected `depth` to be one of {tuple(_BLOCKS)}. Received: depth={depth!r}"
        )
    if preset:
        backbone = _pretrained(preset, depth, input_shape)
    else:
        backbone = _new(depth, input_shape)
    inputs = keras.Input(input_shape)
    scaled = layers.Rescaling(scale, offset)(inputs)
    stages = {
        tensor._keras_history.operation: f"stage{number}"
        for number, tensor in enumerate(backbone.pyramid_outputs.values(), start=1)
    }

    def call(layer, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda x: scaled if x is inputs else x, (args, kwargs)
        )
        outputs = layer(*args, **kwargs)
        return (
            layers.Identity(name=stages[layer])(outputs) if layer in stages else outputs
        )

    # The same layers, walked once more: what comes out is one flat graph.
    walked = keras.models.clone_model(
        keras.Model(backbone.input, backbone.output),
        input_tensors=inputs,
        clone_function=lambda layer: layer,
        call_function=call,
    )
    x = layers.GlobalAveragePooling2D()(walked.output)
    # float32 under any policy: logits in bfloat16 would tie.
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(walked.input, logits, name=name)


def preset_scaling(preset: str) -> tuple[Any, Any] | None:
    """The scale and offset that a preset was trained with, for `hub_resnet`.

    Args:
        preset: Of keras-hub, as `"resnet_18_imagenet"`, or a folder.

    Returns:
        `(scale, offset)` for images in 0..255, each one number or one per channel;
        `None` when the preset does not say.

    Example:

    ```python
    scale, offset = preset_scaling("resnet_50_imagenet")
    model = hub_resnet(50, (224, 224, 3), 8, scale, offset, "resnet_50_imagenet")
    ```
    """
    import keras_hub

    try:
        converter = keras_hub.layers.ImageConverter.from_preset(preset)
    except FileNotFoundError:  # a folder with a backbone and no more
        return None
    scale = 1.0 if converter.scale is None else converter.scale
    return scale, 0.0 if converter.offset is None else converter.offset


def _new(depth, input_shape):
    import keras_hub

    block, counts = _BLOCKS[depth]
    return keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=list(_WIDTHS),
        stackwise_num_blocks=list(counts),
        stackwise_num_strides=[1, 2, 2, 2],
        block_type=block,
        image_shape=tuple(input_shape),
    )


def _pretrained(preset, depth, input_shape):
    """The preset's weights on inputs of this shape."""
    import keras_hub

    trained = keras_hub.models.Backbone.from_preset(preset)
    if not isinstance(trained, keras_hub.models.ResNetBackbone):
        raise ValueError(
            "Expected a preset of a ResNet. "
            f"Received: preset={preset!r}, a {type(trained).__name__}"
        )
    built = trained.block_type, tuple(trained.stackwise_num_blocks)
    if built != _BLOCKS[depth]:
        raise ValueError(
            f"Expected a preset of a ResNet-{depth}, blocks {_BLOCKS[depth]}. "
            f"Received: preset={preset!r} with blocks {built}"
        )
    config = {**trained.get_config(), "image_shape": tuple(input_shape)}
    backbone = keras_hub.models.ResNetBackbone.from_config(config)
    for ours, theirs in zip(backbone.weights, trained.weights, strict=True):
        value = keras.ops.convert_to_numpy(theirs)
        if tuple(ours.shape) != value.shape:
            if ours.shape[2] != 1:
                raise ValueError(
                    "Expected inputs of one channel or of the "
                    f"{value.shape[2]} channels of preset={preset!r}. "
                    f"Received: input_shape={tuple(input_shape)}"
                )
            value = value.sum(axis=2, keepdims=True)
        ours.assign(value)
    return backbone
