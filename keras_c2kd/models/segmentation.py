"""Encoder-decoders for segmentation on the stages of a classifier."""

from collections.abc import Callable

import keras
from keras import layers

from keras_c2kd.models.resnet import small_resnet


def segmenter(
    input_shape: tuple[int, int, int],
    num_classes: int,
    encoder: Callable[..., keras.Model] = small_resnet,
    width: int = 64,
    name: str | None = None,
    **options,
) -> keras.Model:
    """A light decoder on the stages of an encoder: logits for every pixel.

    Coarse stages know what is there, fine ones where; the decoder goes down a feature
    pyramid and adds them up, at little more than the cost of the encoder. It is flat
    and made of stock layers, so a student saved on its own loads with Keras alone.

        top-down:  d_last = project(s_last),  d_i = project(s_i) + upsample(d_{i+1})
        logits  =  upsample(classify(conv3x3(d_1)))

    Args:
        input_shape: `(height, width, channels)`, any size.
        num_classes: Number of logits per pixel.
        encoder: Builds a flat classifier as `encoder(input_shape, num_classes,
            **options)`, with layers `"stage1"`, `"stage2"`, ... to be tapped:
            `small_resnet`, `resnet18` and the like. Its head is left out.
        width: Channels of the decoder.
        name: Name of the model.
        **options: Those of the encoder, as `scale` and `offset`.

    Returns:
        A Functional model from images `(B, height, width, channels)` to float32 logits
        `(B, height, width, num_classes)`, layer `"logits"`. A proxy head taps
        `"stage3"`; `"coarse_logits"` are the logits at the size of the first stage.

    Raises:
        ValueError: an encoder without two stages or more.

    Example:

    >>> from keras_c2kd.models import resnet18, segmenter
    >>> model = segmenter((60, 80, 3), 40, encoder=resnet18)
    >>> model.output.shape, model.get_layer("coarse_logits").output.shape
    ((None, 60, 80, 40), (None, 15, 20, 40))

    Reference:
        A. Kirillov, R. Girshick, K. He, P. Dollar, "Panoptic Feature Pyramid Networks",
        CVPR 2019; the pyramid of T.-Y. Lin et al., CVPR 2017.
    """
    classifier = encoder(input_shape, num_classes, **options)
    stages = [layer for layer in classifier.layers if _is_stage(layer.name)]
    if len(stages) < 2:
        raise ValueError(
            "Expected `encoder` to build a model with layers stage1, stage2, ... for "
            f"the decoder to join. Received: {classifier.name!r} with the stages "
            f"{[layer.name for layer in stages]}"
        )
    x = None
    for number, stage in sorted(enumerate(stages, start=1), reverse=True):
        side = _conv(stage.output, width, kernel=1, name=f"decoder{number}")
        x = side if x is None else layers.Add()([side, _upsample(x, side.shape)])
    x = layers.ReLU()(_conv(x, width, kernel=3, name="decoder"))
    # float32 under any policy: logits in bfloat16 would tie.
    x = layers.Conv2D(num_classes, 1, dtype="float32", name="coarse_logits")(x)
    shape = (None, *input_shape[:2], num_classes)
    logits = _upsample(x, shape, dtype="float32")
    logits = layers.Activation("linear", dtype="float32", name="logits")(logits)
    return keras.Model(classifier.input, logits, name=name)


def _is_stage(name):
    return name.startswith("stage") and name[len("stage") :].isdigit()


def _conv(x, width, kernel, name):
    x = layers.Conv2D(
        width,
        kernel,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)


def _upsample(x, shape, **options):
    """Bilinear, to exactly the height and width of `shape`."""
    factors = [-(-shape[axis] // x.shape[axis]) for axis in (1, 2)]
    if factors != [1, 1]:
        x = layers.UpSampling2D(factors, interpolation="bilinear", **options)(x)
    # A stage of a stride of 2 rounds up: at odd sizes a row or column is too much.
    excess = [x.shape[axis] - shape[axis] for axis in (1, 2)]
    if excess == [0, 0]:
        return x
    return layers.Cropping2D([(0, n) for n in excess], **options)(x)
