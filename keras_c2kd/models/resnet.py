"""ResNets of basic blocks, flat Functional models from keras.layers alone."""

from collections.abc import Sequence

import keras
from keras import layers


def resnet(
    input_shape: tuple[int, int, int],
    num_classes: int,
    widths: Sequence[int],
    blocks: Sequence[int],
    large_stem: bool = False,
    scale: float = 1.0,
    offset: float = 0.0,
    name: str | None = None,
) -> keras.Model:
    """A ResNet classifier whose stages can be tapped by name.

    It is flat and made of stock layers, so a student saved on its own loads with Keras
    alone; scaling the input is part of it, so it takes sensor values as they are.

    Args:
        input_shape: `(height, width, channels)`.
        num_classes: Number of logits.
        widths: Channels of each stage; the output of stage i is layer `"stage{i}"`,
            from 1.
        blocks: Basic blocks in each stage; every stage but the first halves the size.
        large_stem: 7 x 7 with stride 2 and max pooling (ImageNet's sizes) instead of
            3 x 3 with stride 2.
        scale: Multiplies the input, then `offset` is added.
        offset: Added to the scaled input.
        name: Name of the model.

    Returns:
        A Functional model from float32 images `(B, height, width, channels)` to logits
        `(B, num_classes)`.

    Example:

    >>> from keras_c2kd.models import resnet
    >>> model = resnet((32, 32, 3), 5, widths=(8, 16), blocks=(1, 1))
    >>> model.get_layer("stage2").output.shape
    (None, 8, 8, 16)

    Reference:
        K. He et al., "Deep Residual Learning for Image Recognition", CVPR 2016.
    """
    x = inputs = keras.Input(input_shape)
    x = layers.Rescaling(scale, offset)(x)
    x = _conv(x, widths[0], kernel=7 if large_stem else 3, strides=2)
    x = layers.ReLU()(x)
    if large_stem:
        x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), start=1):
        for block in range(count):
            last = f"stage{stage}" if block == count - 1 else None
            x = _block(
                x, width, strides=2 if stage > 1 and block == 0 else 1, name=last
            )
    x = layers.GlobalAveragePooling2D()(x)
    # float32 under any policy: logits in bfloat16 would tie.
    outputs = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(inputs, outputs, name=name)


def small_resnet(input_shape, num_classes, **kwargs) -> keras.Model:
    """ResNet-8, 16 to 64 channels: trains on two CPU cores in a minute.

    Arguments are those of `resnet`; the tap for a proxy head is `"stage3"`.

    Example:

    >>> from keras_c2kd.models import small_resnet
    >>> small_resnet((64, 64, 1), 8).count_params() < 100_000
    True
    """
    return resnet(input_shape, num_classes, (16, 32, 64), (1, 1, 1), **kwargs)


def resnet18(input_shape, num_classes, **kwargs) -> keras.Model:
    """ResNet-18, the encoder of the paper; the proxy's tap is `"stage3"`, 256 channels.

    Arguments are those of `resnet`.

    Example:

    >>> from keras_c2kd.models import resnet18
    >>> resnet18((64, 64, 3), 8).get_layer("stage3").output.shape[-1]
    256
    """
    return resnet(
        input_shape,
        num_classes,
        (64, 128, 256, 512),
        (2, 2, 2, 2),
        large_stem=True,
        **kwargs,
    )


def _block(x, width, strides, name):
    shortcut = x
    if strides > 1 or x.shape[-1] != width:
        shortcut = _conv(x, width, kernel=1, strides=strides)
    x = layers.ReLU()(_conv(x, width, strides=strides))
    x = layers.Add()([_conv(x, width), shortcut])
    return layers.ReLU(name=name)(x)


def _conv(x, width, kernel=3, strides=1):
    x = layers.Conv2D(
        width,
        kernel,
        strides=strides,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
    )(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
