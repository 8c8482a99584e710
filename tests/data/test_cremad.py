from collections import Counter

import numpy as np
import pytest

from keras_c2kd.data.cremad import EMOTIONS, list_cremad, read_cremad
from tests.conftest import SHARED
from tests.data.clip_files import cremad_stem, numbers_of, write_cremad
from tests.data.conftest import mutate

REAL = SHARED / "data" / "lists" / "cremad"


@pytest.fixture
def root(tmp_path):
    return write_cremad(tmp_path)


@pytest.mark.skipif(not REAL.exists(), reason="the real lists are not in ../shared")
def test_the_real_lists_are_read_whole():
    _, clips = list_cremad(REAL)
    assert (len(clips["train"]), len(clips["test"])) == (6698, 744)
    for name, file in (("train", "train.csv"), ("test", "test.csv")):
        lines = (REAL / file).read_text().split()
        assert lines == [f"{clip.id},{clip.class_name}" for clip in clips[name]]
    counts = Counter(clip.class_name for clip in clips["train"])
    assert counts["NEU"] == 973 and counts["ANG"] == 1166


def test_the_classes_are_in_the_order_of_the_released_code(root):
    train = read_cremad(root)["train"]
    assert train.class_names == ("NEU", "HAP", "SAD", "FEA", "DIS", "ANG")
    np.testing.assert_array_equal(train.labels, np.arange(12) % 6)
    assert train.labels.dtype == "int32"


def test_frame_sound_and_label_of_a_clip_stay_together(root):
    splits = read_cremad(root)
    assert {name: len(split) for name, split in splits.items()} == {
        "train": 12,
        "test": 6,
    }
    for name, numbers in (("train", range(12)), ("test", range(12, 18))):
        assert splits[name].ids == tuple(map(cremad_stem, numbers))
        assert numbers_of(splits[name]) == (list(numbers), list(numbers))
        assert splits[name].sources["image"].shape == (len(numbers), 1)


def edit(root, file, old, new):
    content = (root / file).read_text("utf-8")
    assert old in content
    (root / file).write_text(content.replace(old, new, 1), "utf-8")


FIRST, OTHER = cremad_stem(1), cremad_stem(12)
HOSTILE = {
    "unknown emotion": (f"{FIRST},HAP", f"{FIRST},JOY", 2, "'JOY'"),
    "lower case": (f"{FIRST},HAP", f"{FIRST},hap", 2, "'hap'"),
    "another emotion": (f"{FIRST},HAP", f"{FIRST},SAD", 2, FIRST),
    "one column": (f"{FIRST},HAP", FIRST, 2, FIRST),
    "three columns": (f"{FIRST},HAP", f"{FIRST},HAP,1", 2, "'1'"),
    "swapped": (f"{FIRST},HAP", f"HAP,{FIRST}", 2, FIRST),
    "up": (f"{FIRST},HAP", f"../{FIRST},HAP", 2, r"\.\./"),
    "absolute": (f"{FIRST},HAP", f"/{FIRST},HAP", 2, f"'/{FIRST}"),
    "a folder": (f"{FIRST},HAP", f"a/{FIRST},HAP", 2, "'a/"),
    "no stem": (f"{FIRST},HAP", ",HAP", 2, "''"),
    "a stray quote": (f"{FIRST},HAP", f'"{FIRST},HAP', None, "columns stem,emotion"),
    "a header": (cremad_stem(0), f"stem,emotion\n{cremad_stem(0)}", 1, "'emotion'"),
    "twice": (f"{FIRST},HAP", f"{FIRST},HAP\n{FIRST},HAP", 3, FIRST),
    "in both lists": (f"{FIRST},HAP", f"{OTHER},NEU", 1, OTHER),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_list_names_its_line(root, case):
    old, new, line, received = HOSTILE[case]
    edit(root, "train.csv", old, new)
    with pytest.raises(ValueError, match=received) as error:
        read_cremad(root)
    message = str(error.value)
    assert str(root / "train.csv") in message and "Received: " in message
    if case == "in both lists":  # the second place is the one to look at
        assert f"{root / 'test.csv'}, line {line}" in message
    elif line:
        assert f"{root / 'train.csv'}, line {line};" in message


@pytest.mark.parametrize("folder", ["AudioWAV", "Image-01-FPS"])
def test_a_download_that_is_not_prepared_says_what_to_do(root, folder):
    (root / folder).rename(root / "elsewhere")
    with pytest.raises(ValueError, match="keras_c2kd.data.prepare"):
        read_cremad(root)


def test_mutated_lists_are_read_rightly_or_named(root):
    path = root / "train.csv"
    original, rng, outcomes = path.read_bytes(), np.random.default_rng(3), Counter()
    numbers = {cremad_stem(number): number for number in range(18)}
    for _ in range(150):
        path.write_bytes(mutate(original, rng))
        try:
            train = read_cremad(root)["train"]
        except ValueError as error:
            assert str(root) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        right = [numbers[clip] for clip in train.ids]
        assert numbers_of(train) == (right, right)
        assert [EMOTIONS[label] for label in train.labels] == [
            clip.split("_")[2] for clip in train.ids
        ]
        outcomes["read"] += 1
    assert outcomes["named"] > 0 and outcomes["read"] > 0
