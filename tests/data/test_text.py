import json
import sys

import numpy as np
import pytest

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


def test_accents_are_no_reason_to_be_unknown():
    texts = ["Piñata de São Tomé", "naïve ÅNGSTRÖM, İstanbul 😢", "漢字 ﬁne Straße"] * 2
    tokens = Tokens.from_texts(texts, length=16)
    assert {"pinata", "sao", "istanbul", "strasse"} <= set(tokens.vocabulary)
    ids = tokens(texts)
    assert (ids != 1).all() and ids[0, 0] == tokens.vocabulary.index("pinata")
    np.testing.assert_array_equal(tokens(["PINATA de Sao tome"]), ids[:1])


def test_case_and_accents_stay_where_the_word_pieces_have_them():
    words = ("[PAD]", "[UNK]", "Café", "café", "cafe")
    texts = ["Café café cafe"]
    as_they_are = Tokens(3, words, lowercase=False, strip_accents=False)
    assert as_they_are(texts).tolist() == [[2, 3, 4]]
    lower = Tokens(3, words, strip_accents=False)
    assert lower(texts).tolist() == [[3, 3, 4]]
    assert Tokens(3, words)(texts).tolist() == [[4, 4, 4]]


@pytest.mark.parametrize("package", ["keras_hub", "tensorflow_text"])
def test_a_missing_package_is_one_sentence(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        ValueError, match=r"keras_c2kd\[recipes\].*Received: .*" + package
    ):
        Tokens.from_texts(TEXTS, length=8)


def test_one_string_and_no_room_are_refused():
    with pytest.raises(ValueError, match="a list of texts.*'a red car'"):
        Tokens(6, VOCABULARY)("a red car")
    with pytest.raises(ValueError, match="room.*Received: length=2"):
        Tokens(2, VOCABULARY, start=2, end=3)
    with pytest.raises(ValueError, match="Received: length=0"):
        Tokens(0, VOCABULARY)


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
    tokens = Tokens(
        6, (*VOCABULARY, "é", "漢", "\u2028"), start=2, end=3, lowercase=False
    )
    tokens.save(tmp_path)
    loaded = load_tokens(tmp_path)
    assert loaded == tokens and loaded(TEXTS).tolist() == tokens(TEXTS).tolist()


def _settings(**changes):
    settings = {"length": 6, "start": -1, "end": -1}
    settings |= {"lowercase": True, "strip_accents": True}
    return json.dumps({**settings, **changes}).encode()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.json", b"{"),
        ("tokenizer.json", b'{"size": 3}'),
        ("tokenizer.json", b"[1]"),
        ("tokenizer.json", b'{"length": 3, "start": -1, "end": -1}'),
        ("tokenizer.json", _settings(length="3")),
        ("tokenizer.json", _settings(lowercase=1)),
        ("tokenizer.json", _settings(length=-3)),
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


@pytest.fixture(scope="module", params=[True, False], ids=["uncased", "cased"])
def preset(request, tmp_path_factory):
    """A tiny BERT in a folder, as keras-hub saves one."""
    import keras_hub

    folder = tmp_path_factory.mktemp("presets") / "bert"
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *VOCABULARY[2:]]
    keras_hub.models.BertTokenizer(
        [*vocabulary, "Red"], lowercase=request.param
    ).save_to_preset(folder)
    keras_hub.models.BertBackbone(
        len(vocabulary) + 1, 1, 2, 8, 16, max_sequence_length=8
    ).save_to_preset(folder)
    return str(folder)


def test_a_preset_gives_the_ids_of_its_own_preprocessor(preset):
    import keras_hub

    texts = ["a red car", "A Red sky at night", "", "cars!"]
    theirs = keras_hub.models.BertTextClassifierPreprocessor(
        keras_hub.models.BertTokenizer.from_preset(preset), sequence_length=6
    )(texts)
    ours = Tokens.from_preset(preset, length=6)
    np.testing.assert_array_equal(ours(texts), np.array(theirs["token_ids"]))


def test_presets_that_split_otherwise_are_refused(tmp_path):
    from keras_hub import models

    vocabulary = {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}
    models.GPT2Tokenizer(vocabulary, ["a b"]).save_to_preset(tmp_path / "gpt")
    models.GPT2Backbone(4, 1, 2, 8, 16, max_sequence_length=8).save_to_preset(
        tmp_path / "gpt"
    )
    with pytest.raises(ValueError, match="word pieces.*GPT2Tokenizer"):
        Tokens.from_preset(str(tmp_path / "gpt"), length=6)
    words = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "a"]
    models.BertTokenizer(words).save_to_preset(tmp_path / "bert")
    models.BertBackbone(6, 1, 2, 8, 16, max_sequence_length=8).save_to_preset(
        tmp_path / "bert"
    )
    with pytest.raises(ValueError, match="pads with id 0.*'pad_token_id': 1"):
        Tokens.from_preset(str(tmp_path / "bert"), length=6)


def test_the_cache_keeps_ids_and_notices_another_vocabulary(tmp_path):
    labels, ids = np.zeros(len(TEXTS), "int32"), tuple(map(str, range(len(TEXTS))))
    samples = Samples(ids, {"text": np.array(TEXTS, object)}, labels, ("a", "b"))
    for vocabulary in (VOCABULARY, VOCABULARY, VOCABULARY[::-1]):
        tokens = Tokens(6, vocabulary)
        decoded = decode(samples, {"text": tokens}, cache_dir=tmp_path / "cache")
        np.testing.assert_array_equal(packed(decoded)["text"], tokens(TEXTS))
