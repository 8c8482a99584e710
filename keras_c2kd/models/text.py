"""Text encoders on token ids, from layers and backbones of keras-hub."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops


def text_encoder(
    length: int,
    num_classes: int,
    vocabulary_size: int,
    width: int = 64,
    depth: int = 2,
    heads: int = 2,
    dropout: float = 0.1,
    name: str | None = None,
) -> keras.Model:
    """A small transformer classifier that trains from scratch in minutes.

    Args:
        length: Tokens per text; id 0 pads and is not attended to.
        num_classes: Number of logits.
        vocabulary_size: Number of token ids.
        width: Channels of the embedding.
        depth: Transformer layers.
        heads: Attention heads of each.
        dropout: Share of what is dropped in training.
        name: Name of the model.

    Returns:
        A Functional model from int32 `(B, length)` to float32 logits
        `(B, num_classes)`. Layer `"features"`, `(B, width)`, feeds a proxy head. Its
        layers are keras-hub's, which must be installed to load a saved one.

    Example:

    ```python
    model = text_encoder(length=32, num_classes=8, vocabulary_size=4000)
    ```

    Reference:
        A. Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """
    import keras_hub

    ids = keras.Input((length,), dtype="int32", name="token_ids")
    x = keras_hub.layers.TokenAndPositionEmbedding(
        vocabulary_size,
        length,
        width,
        # The first normalisation divides by it and so multiplies the gradient: with
        # keras-hub's 0.03, and a distillation on top, SGD stays at chance.
        embeddings_initializer=keras.initializers.RandomNormal(stddev=0.3),
    )(ids)
    x = layers.Dropout(dropout)(x)
    there = ops.not_equal(ids, 0)
    for _ in range(depth):
        # Normalised first: with plain SGD the other order may never leave its start.
        layer = keras_hub.layers.TransformerEncoder(
            2 * width, heads, dropout=dropout, normalize_first=True
        )
        x = layer(x, padding_mask=there)
    x = layers.LayerNormalization()(_mean_of(x, there))
    return _head(ids, x, num_classes, name)


def text_classifier(
    backbone: Any, length: int, num_classes: int, name: str | None = None
) -> keras.Model:
    """A classifier on a pre-trained encoder of keras-hub.

    Args:
        backbone: The name of a preset, as `"bert_tiny_en_uncased"`, a folder, or a
            keras-hub text backbone.
        length: Tokens per text; id 0 pads.
        num_classes: Number of logits.
        name: Name of the model.

    Returns:
        As `text_encoder`; the token ids are those of the backbone's own tokenizer
        (`keras_c2kd.data.Tokens.from_preset`).

    Raises:
        ValueError: no text backbone, or texts longer than it takes.

    Example:

    ```python
    model = text_classifier("bert_tiny_en_uncased", length=32, num_classes=8)
    ```
    """
    import keras_hub

    if isinstance(backbone, str):
        backbone = keras_hub.models.Backbone.from_preset(backbone)
    if not isinstance(backbone.input, dict) or "token_ids" not in backbone.input:
        raise ValueError(
            "Expected a text backbone of keras-hub, as BertBackbone. "
            f"Received: {type(backbone).__name__}"
        )
    longest = getattr(backbone, "max_sequence_length", None) or length
    if length > longest:
        raise ValueError(
            f"Expected `length` to be at most {longest}, the longest text that this "
            f"{type(backbone).__name__} takes. Received: length={length}"
        )
    ids = keras.Input((length,), dtype="int32", name="token_ids")
    there = ops.not_equal(ids, 0)
    given = {"token_ids": ids, "padding_mask": ops.cast(there, "int32")}
    if "segment_ids" in backbone.input:
        given["segment_ids"] = ops.zeros_like(ids)
    if isinstance(backbone.output, dict):  # BERT's pooled output has no gradient here
        sequence = backbone.output["sequence_output"]
        backbone = keras.Model(backbone.input, sequence, name=backbone.name)
    x = backbone(given)
    return _head(ids, _mean_of(x, there), num_classes, name)


def _mean_of(x, there):
    """The mean over the tokens that are there."""
    weight = ops.expand_dims(ops.cast(there, x.dtype), axis=-1)
    count = ops.maximum(ops.sum(weight, axis=1), 1.0)
    return ops.sum(x * weight, axis=1) / count


def _head(ids, x, num_classes, name):
    x = layers.Identity(name="features")(x)
    # float32 under any policy: logits in bfloat16 would tie.
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(ids, logits, name=name)
