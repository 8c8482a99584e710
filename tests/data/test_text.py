import shutil

import numpy as np
import pytest
import tensorflow as tf

from keras_c2kd.data import Samples, Tokens, decode, load_tokens
from tests.data.conftest import packed

pytest.importorskip("keras_hub", reason="keras-hub is not installed")

TEXTS = ["a red sky at night", "a red car", "the night car", "sky, sky!"] * 2
VOCABULARY = ("[PAD]", "[UNK]", "a", "red", "sky", "car", "##s", "!", "night")


def test_word_pieces_by_hand():
    tokens = Tokens(6, VOCABULARY)
    ids = tokens(["A red CAR", "cars sky!", "", "a red night a red night sky", "quux"])
    expected = [
        [2, 3, 5, 0, 0, 0],  # lower case
        [5, 6, 4, 7, 0, 0],  # car ##s sky !
        [0] * 6,
        [2, 3, 8, 2, 3, 8],  # cut
        [1, 0, 0, 0, 0, 0],  # unknown
    ]
    assert ids.tolist() == expected and ids.dtype == "int32"
    assert tokens.vocabulary_size == 9 and tokens.input_shape == (6,)


def test_start_and_end_stand_around_a_text_that_is_cut():
    tokens = Tokens(4, VOCABULARY, start=8, end=7)
    assert tokens(["a red car", "a"]).tolist() == [[8, 2, 3, 7], [8, 2, 7, 0]]


def test_a_vocabulary_is_learnt_from_texts_and_always_the_same():
    tokens = Tokens.from_texts(TEXTS, length=8)
    assert tokens.vocabulary[:2] == ("[PAD]", "[UNK]")
    assert tokens == Tokens.from_texts(TEXTS, length=8)
    assert {"red", "sky", "night", "car"} <= set(tokens.vocabulary)
    assert (tokens(TEXTS) != 1).all()  # nothing it has read is unknown


def test_the_pipeline_makes_the_same_ids():
    tokens = Tokens(6, VOCABULARY)
    labels = np.zeros(len(TEXTS), "int32")
    ids = tuple(map(str, range(len(TEXTS))))
    samples = Samples(ids, {"text": np.array(TEXTS)}, labels, ("a", "b"))
    for memory in (1 << 20, 0):
        decoded = decode(samples, {"text": tokens}, memory=memory)
        np.testing.assert_array_equal(packed(decoded)["text"], tokens(TEXTS))


@pytest.mark.parametrize(
    "text", ["\u202e\u0000 a", "😢" * 500, "x" * 100_000, "\n\t\r ", "ＡＢＣ é ß 漢字"]
)
def test_hostile_text_becomes_ids(text):
    ids = Tokens(6, VOCABULARY)([text])
    assert ids.shape == (1, 6) and ids.min() >= 0 and ids.max() < len(VOCABULARY)


def test_a_run_folder_keeps_what_makes_ids(tmp_path):
    tokens = Tokens(6, (*VOCABULARY, "é", "漢", "\u2028"), start=2, end=3)
    tokens.save(tmp_path)
    loaded = load_tokens(tmp_path)
    assert loaded == tokens and loaded(TEXTS).tolist() == tokens(TEXTS).tolist()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{"),
        ("tokenizer.json", b'{"size": 3}'),
        ("tokenizer.json", b"[1]"),
        ("vocabulary.txt", b"\xff\xfe"),
        ("vocabulary.txt", b"a\nb\n"),
        ("vocabulary.txt", None),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path, name, content):
    Tokens(6, VOCABULARY).save(tmp_path)
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match="Expected tokenizer.json.*Received: "):
        load_tokens(tmp_path)


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A tiny BERT in a folder, as keras-hub saves one."""
    import keras_hub

    folder = tmp_path_factory.mktemp("presets") / "bert"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *VOCABULARY[2:]]
    keras_hub.models.BertTokenizer(vocabulary).save_to_preset(folder)
    keras_hub.models.BertBackbone(
        len(vocabulary), 1, 2, 8, 16, max_sequence_length=8
    ).save_to_preset(folder)
    yield str(folder)
    shutil.rmtree(folder)


def test_a_preset_begins_and_ends_as_its_encoder_expects(preset):
    import keras_hub

    tokens = Tokens.from_preset(preset, length=6)
    theirs = keras_hub.models.BertTextClassifierPreprocessor(
        keras_hub.models.BertTokenizer.from_preset(preset), sequence_length=6
    )(["a red car", "a red sky at night"])
    ours = tokens(["a red car", "a red sky at night"])
    np.testing.assert_array_equal(ours, np.array(theirs["token_ids"]))


def test_a_preset_encoder_takes_these_ids(preset):
    from keras_c2kd.models.text import text_classifier

    model = text_classifier(preset, length=6, num_classes=3, name="teacher")
    ids = Tokens.from_preset(preset, length=6)(["a red car", "sky"])
    logits = model.predict(ids, verbose=0)
    assert logits.shape == (2, 3)
    padded = np.concatenate([ids[:, :5], np.zeros((2, 1), "int32")], axis=1)
    assert ids[0, 5] == 0 and tf.reduce_all(padded[0] == ids[0])
