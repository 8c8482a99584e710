"""Which network sees which modality, and where its features are tapped."""

from absl import flags

# (value - mean) / deviation of ImageNet's pixels, as scale and offset of 0..255.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
IMAGENET = (
    tuple(1 / (255 * deviation) for deviation in _DEVIATION),
    tuple(-m / d for m, d in zip(_MEAN, _DEVIATION, strict=True)),
)

FLAGS = flags.FLAGS
flags.DEFINE_enum(
    "encoder",
    "small_resnet",
    ["small_resnet", "resnet18", "resnet34", "resnet50"],
    "Of images and spectrograms, teacher and student alike.",
)
flags.DEFINE_string("image_preset", None, "keras-hub weights for the image encoder.")
flags.DEFINE_string("text_preset", None, "keras-hub tokenizer and text encoder.")


def build(role, modality, classes, scaling=(1.0, 0.0), per_pixel=False):
    """An untrained model from one modality to logits.

    Args:
        role: `"teacher"` or `"student"`, the model's name.
        modality: a `keras_c2kd.data.Modality`.
        classes: number of logits.
        scaling: `scale * value + offset` is near 0, for numbers or per channel.
        per_pixel: logits `(B, H, W, classes)` instead of `(B, classes)`.

    Returns:
        The model, and the name of the layer that feeds its proxy head.
    """
    from keras_c2kd import models

    if modality.kind == "tokens":
        return build_text(role, modality, classes), "features"
    scale, offset = scaling
    options = {"scale": scale, "offset": offset, "name": role}
    shape = modality.input_shape
    if per_pixel:
        return models.segmenter(shape, classes, encoder, **options), "stage3"
    if modality.kind == "frames":
        of_one = encoder(shape[1:], classes, **options)
        taps = dict.fromkeys(("stage3", last_tap(of_one, "stage3")))
        return models.over_frames(of_one, frames=shape[0], taps=tuple(taps)), "stage3"
    return encoder(shape, classes, **options), "stage3"


def last_tap(model, tap):
    """The layer of the last features; `tap` where there is none behind it."""
    return "stage4" if "stage4" in [layer.name for layer in model.layers] else tap


def encoder(shape, classes, **options):
    """The encoder of --encoder, with the weights of --image_preset."""
    if FLAGS.encoder == "small_resnet":
        if FLAGS.image_preset:
            raise ValueError(
                "Expected an encoder that has pre-trained weights, --encoder=resnet18 "
                "or larger, with --image_preset. Received: --encoder=small_resnet"
            )
        from keras_c2kd.models import small_resnet

        return small_resnet(shape, classes, **options)
    from keras_c2kd.models.hub import hub_resnet

    depth = int(FLAGS.encoder.removeprefix("resnet"))
    if FLAGS.image_preset and shape[-1] == 3:  # its weights know ImageNet's scale
        options["scale"], options["offset"] = IMAGENET
    return hub_resnet(depth, shape, classes, preset=FLAGS.image_preset, **options)


def build_text(role, modality, classes):
    """A small transformer, or the pre-trained one of --text_preset."""
    from keras_c2kd.models.text import text_classifier, text_encoder

    length = modality.input_shape[0]
    if FLAGS.text_preset:
        return text_classifier(FLAGS.text_preset, length, classes, name=role)
    return text_encoder(length, classes, modality.vocabulary_size, name=role)
