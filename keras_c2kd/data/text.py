"""Text as a modality: strings to token ids, by a tokenizer of keras-hub."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from keras_c2kd.data.modality import Modality

_SPECIAL = ("[PAD]", "[UNK]")
_SETTINGS = "tokenizer.json"
_VOCABULARY = "vocabulary.txt"
_TYPES = {
    "length": int,
    "start": int,
    "end": int,
    "lowercase": bool,
    "strip_accents": bool,
}


@dataclasses.dataclass(frozen=True)
class Tokens(Modality):
    """Strings as word pieces, cut or padded to one length.

    Token ids are what a model takes, since a tokenizer cannot be exported with it; a
    run folder keeps what turns a string into them (`save`, `load_tokens`).

    Attributes:
        length: tokens per text; id 0 pads.
        vocabulary: the word pieces, in the order of their ids.
        start: id put before every text, and `end` after it, as a pre-trained encoder
            expects; -1: none.
        end: see `start`.
        lowercase: the word pieces are in lower case, so texts are put into it.
        strip_accents: they have no accents, so those of texts are taken off.

    Example:

    >>> tokens = Tokens.from_texts(["a red sky", "a red car"], length=4)
    >>> tokens(["a red red car"]).shape
    (1, 4)
    """

    length: int
    vocabulary: tuple[str, ...]
    start: int = -1
    end: int = -1
    lowercase: bool = True
    strip_accents: bool = True
    kind: ClassVar[str] = "tokens"
    expected: ClassVar[str] = "a text"

    def __post_init__(self):
        if self.length <= (self.start >= 0) + (self.end >= 0):
            raise ValueError(
                "Expected `length` to leave room for a word piece beside those that "
                f"begin and end a text. Received: length={self.length}"
            )

    @classmethod
    def from_texts(
        cls, texts: Iterable[str], length: int, vocabulary_size: int = 4000
    ) -> Tokens:
        """Learns a vocabulary of word pieces, from the train part alone.

        Args:
            texts: the texts of the train part.
            length: tokens per text.
            vocabulary_size: about how many word pieces.

        Returns:
            `Tokens`; the same texts give the same vocabulary.

        Raises:
            ValueError: no words at all, or keras-hub is missing.
        """
        import_keras_hub()
        from tensorflow_text.tools.wordpiece_vocab import bert_vocab_from_dataset

        texts = [str(text) for text in texts]
        if not any(text.strip() for text in texts):
            raise ValueError(
                "Expected texts with words, to learn a vocabulary from. "
                f"Received: {len(texts)} texts, all empty"
            )
        data = tf.data.Dataset.from_tensor_slices(texts).batch(256)
        # keras-hub's own learner leaves out what occurs less than ten times: all that
        # a small set is about.
        vocabulary = bert_vocab_from_dataset.bert_vocab_from_dataset(
            data,
            vocabulary_size,
            reserved_tokens=list(_SPECIAL),
            bert_tokenizer_params={"lower_case": True},  # takes accents off too
            learn_params={"lower_thresh": 2},
        )
        return cls(length, tuple(vocabulary))

    @classmethod
    def from_preset(cls, preset: str, length: int) -> Tokens:
        """The word pieces of a pre-trained encoder.

        Args:
            preset: of keras-hub, as `"bert_tiny_en_uncased"`, or a folder.
            length: tokens per text.

        Returns:
            `Tokens` that begin and end as that encoder expects.

        Raises:
            ValueError: a preset whose tokenizer has no word pieces.
        """
        keras_hub = import_keras_hub()
        tokenizer = keras_hub.models.Tokenizer.from_preset(preset)
        received = f"Received: preset={preset!r} with {type(tokenizer).__name__}"
        if not isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
            raise ValueError(
                "Expected a preset with word pieces, as those of BERT and DistilBERT. "
                + received
            )
        others = {"split": True, "split_on_cjk": True, "suffix_indicator": "##"}
        found = {name: getattr(tokenizer, name) for name in ("pad_token_id", *others)}
        if found != {"pad_token_id": 0, **others}:
            raise ValueError(
                "Expected a preset that pads with id 0 and splits as BERT does. "
                f"{received}, {found}"
            )
        return cls(
            length,
            tuple(tokenizer.get_vocabulary()),
            tokenizer.cls_token_id,
            tokenizer.sep_token_id,
            lowercase=tokenizer.lowercase,
            strip_accents=tokenizer.strip_accents,
        )

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary)

    @property
    def spec(self):
        return tf.TensorSpec((self.length,), tf.int32)

    @property
    def input_shape(self):
        return (self.length,)

    def decode(self, source):
        """int32 `(length,)` from a string."""
        with tf.init_scope():  # its tables outlive the graph that is being traced
            tokenizer = _tokenizer(self.vocabulary, self.lowercase, self.strip_accents)
        pieces = tokenizer(source)
        around = sum(token >= 0 for token in (self.start, self.end))
        pieces = tf.cast(pieces, tf.int32)[: self.length - around]
        before, after = (
            tf.constant([token] if token >= 0 else [], tf.int32)
            for token in (self.start, self.end)
        )
        ids = tf.concat([before, pieces, after], axis=0)
        padded = tf.pad(ids, [[0, self.length - tf.shape(ids)[0]]])
        return tf.ensure_shape(padded, (self.length,))

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """int32 `(len(texts), length)`, what a trained student takes."""
        if isinstance(texts, str):
            raise ValueError(f"Expected a list of texts. Received: {texts[:40]!r}")
        return np.stack([self.decode(tf.constant(text)).numpy() for text in texts])

    def where(self, source):
        return repr(str(source)[:40])

    def describe(self, source):
        return f"a text of {len(str(source))} characters"

    def save(self, folder: Path) -> None:
        """Writes the vocabulary and the settings into a folder, as plain text."""
        settings = {name: getattr(self, name) for name in _TYPES}
        text = "\n".join(self.vocabulary) + "\n"
        (Path(folder) / _VOCABULARY).write_bytes(text.encode("utf-8"))
        (Path(folder) / _SETTINGS).write_text(json.dumps(settings), "utf-8")


def load_tokens(folder: str | Path) -> Tokens:
    """What `Tokens.save` left in a run folder, to turn new strings into ids.

    Args:
        folder: the run folder.

    Returns:
        `Tokens`.

    Raises:
        ValueError: no such files, or damaged ones.

    Example:

    ```python
    tokens = load_tokens("runs/crisismmd-text-to-image-20260101-120000")
    logits = student.predict(tokens(["a bridge has collapsed"]))
    ```
    """
    try:
        settings = json.loads((Path(folder) / _SETTINGS).read_text("utf-8"))
        text = (Path(folder) / _VOCABULARY).read_bytes().decode("utf-8")
        vocabulary = tuple(text.removesuffix("\n").split("\n"))
        if vocabulary[0] != _SPECIAL[0]:
            raise ValueError(f"{vocabulary[0]!r} as the first word piece")
        if {name: type(value) for name, value in settings.items()} != _TYPES:
            raise ValueError(f"the settings {settings}")
        return Tokens(vocabulary=vocabulary, **settings)
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"Expected {_SETTINGS} and {_VOCABULARY} of a run on text in {folder}. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


@functools.lru_cache(maxsize=8)
def _tokenizer(
    vocabulary: tuple[str, ...], lowercase: bool, strip_accents: bool
) -> Any:
    return import_keras_hub().tokenizers.WordPieceTokenizer(
        vocabulary=list(vocabulary),
        lowercase=lowercase,
        strip_accents=strip_accents,
        dtype="int32",
    )


def import_keras_hub() -> Any:
    """The module, or one sentence about how to get it."""
    try:
        import keras_hub
        import tensorflow_text  # noqa: F401 - what its tokenizers are made of
    except (ImportError, tf.errors.NotFoundError) as error:  # or of another TensorFlow
        raise ValueError(
            "Expected keras-hub and tensorflow-text for text: "
            f'pip install "keras_c2kd[recipes]". Received: {error}'
        ) from error
    return keras_hub
