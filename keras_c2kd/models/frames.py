"""Image encoders for clips of several frames."""

from collections.abc import Sequence

import keras
from keras import layers, ops


def over_frames(
    encoder: keras.Model, frames: int, taps: Sequence[str] = ("stage3",)
) -> keras.Model:
    """The encoder applied to every frame, its logits averaged over time.

    Frames are folded into the batch, so that one set of weights and one set of batch
    statistics serves all of them. The result is flat, as the encoder is: saved on its
    own, it loads with Keras alone.

        logits(clip) = mean over t of encoder(frame_t)

    Args:
        encoder: A flat Functional classifier of images `(B, height, width, channels)`
            with logits `(B, num_classes)`; it is copied, with its weights.
        frames: How many frames a clip has.
        taps: Layers whose output a proxy head shall see; in the result they keep their
            names and give `(B, frames, ...)`.

    Returns:
        A Functional model from clips `(B, frames, height, width, channels)` to float32
        logits `(B, num_classes)`, layer `"logits"`.

    Raises:
        ValueError: fewer than one frame, no such layer, or no image classifier.

    Example:

    >>> from keras_c2kd.models import over_frames, small_resnet
    >>> model = over_frames(small_resnet((32, 32, 3), 5), frames=3)
    >>> model.output.shape, model.get_layer("stage3").output.shape
    ((None, 5), (None, 3, 4, 4, 64))
    """
    _check(encoder, frames, taps)
    image = tuple(encoder.input.shape[1:])
    renamed = {name: f"{name}_of_frames" for name in (*taps, "logits")}
    copies = []

    def copy(layer):
        config = layer.get_config()
        config["name"] = renamed.get(layer.name, layer.name)
        copies.append((layer, type(layer).from_config(config)))
        return copies[-1][1]

    clip = keras.Input((frames, *image), dtype=encoder.input.dtype)
    folded = ops.reshape(clip, (-1, *image))

    def call(layer, *args, **kwargs):
        args, kwargs = keras.tree.map_structure(
            lambda x: folded if x is clip else x, (args, kwargs)
        )
        outputs = layer(*args, **kwargs)
        tap = next((name for name in taps if renamed[name] == layer.name), None)
        if tap is None:
            return outputs
        # On the way to the logits, or the layer would not be part of the model.
        inner = outputs.shape[1:]
        outputs = layers.Identity(name=tap)(ops.reshape(outputs, (-1, frames, *inner)))
        return ops.reshape(outputs, (-1, *inner))

    walked = keras.models.clone_model(
        encoder, input_tensors=clip, clone_function=copy, call_function=call
    )
    for layer, copied in copies:
        copied.set_weights(layer.get_weights())
    logits = ops.reshape(walked.output, (-1, frames, walked.output.shape[-1]))
    # float32 under any policy: logits in bfloat16 would tie.
    mean = layers.GlobalAveragePooling1D(dtype="float32", name="logits")
    return keras.Model(walked.input, mean(logits), name=encoder.name)


def _check(encoder, frames, taps):
    if frames < 1:
        raise ValueError(f"Expected one frame or more. Received: frames={frames}")
    shapes = [tuple(t.shape) for t in (*encoder.inputs, *encoder.outputs)]
    if [len(shape) for shape in shapes] != [4, 2]:
        raise ValueError(
            "Expected `encoder` to be a Functional model with one image as its input "
            f"and one vector of logits as its output. Received: shapes {shapes}"
        )
    names = [layer.name for layer in encoder.layers]
    missing = [name for name in taps if name not in names]
    if missing:
        raise ValueError(
            f"Expected `taps` to name layers of {encoder.name!r}, some of "
            f"{', '.join(names)}. Received: taps={tuple(taps)}"
        )
