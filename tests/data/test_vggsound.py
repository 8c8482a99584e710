from collections import Counter

import numpy as np
import pytest

from keras_c2kd.data.vggsound import read_vggsound
from tests.data.clip_files import (
    VGG_NAMES,
    numbers_of,
    vgg_name,
    write_frames,
    write_vggsound,
    youtube_id,
)
from tests.data.conftest import mutate


@pytest.fixture
def root(tmp_path):
    return write_vggsound(tmp_path)


def test_frames_sound_and_label_of_a_clip_stay_together(root):
    splits = read_vggsound(root)
    assert tuple(splits) == ("train", "test")
    for name, numbers in (("train", range(6)), ("test", range(6, 12))):
        split = splits[name]
        assert split.class_names == VGG_NAMES
        assert split.ids == tuple(map(vgg_name, numbers))
        assert numbers_of(split) == (list(numbers), list(numbers))
        np.testing.assert_array_equal(split.labels, np.array(numbers) % 3)
        files = [[path[-9:] for path in paths] for paths in split.sources["image"]]
        assert files == [["00000.jpg", "00001.jpg", "00002.jpg"]] * 6


def test_the_number_of_frames_is_an_option(root):
    assert read_vggsound(root, num_frames=1)["test"].sources["image"].shape == (6, 1)
    with pytest.raises(ValueError, match="Received: num_frames=0"):
        read_vggsound(root, num_frames=0)


def test_the_folders_between_may_be_called_otherwise(root):
    (root / "train-videos").rename(root / "x")
    (root / "train-videos" / "any").mkdir(parents=True)
    for folder in (root / "x/train-set-img/Image-01-FPS").iterdir():
        folder.rename(root / "train-videos" / "any" / folder.name)
    audios = root / "train-audios"
    for file in (audios / "train-set").iterdir():
        file.rename(audios / file.name)
    assert numbers_of(read_vggsound(root)["train"]) == ([*range(6)], [*range(6)])


def test_of_two_frame_rates_one_a_second_is_taken(root):
    images = root / "train-videos/train-set-img"
    for number in range(6):
        name = f"{vgg_name(number)}.mp4"
        write_frames(images / "Image-02-FPS" / name, 9)
        (root / "train-videos" / "train-set").mkdir(exist_ok=True)
        (root / "train-videos" / "train-set" / name).write_bytes(b"the video")
    assert numbers_of(read_vggsound(root)["train"])[0] == [*range(6)]


def test_a_part_of_the_dataset_has_a_list_of_its_own(root):
    lines = (root / "vggsound.csv").read_text("utf-8").splitlines(keepends=True)
    part = [line for line in lines if "wind chime" not in line]
    (root / "part.csv").write_text("".join(part), "utf-8")
    splits = read_vggsound(root, list_file="part.csv")
    assert splits["train"].class_names == VGG_NAMES[:2] and len(splits["test"]) == 4
    with pytest.raises(ValueError, match="looked for .*gone.csv"):
        read_vggsound(root, list_file="gone.csv")
    (root.parent / "out.csv").write_text("".join(part), "utf-8")
    with pytest.raises(ValueError, match="Received: path='../out.csv'"):
        read_vggsound(root, list_file="../out.csv")


FIRST = f"{youtube_id(2)},74,wind chime,train"
HOSTILE = {
    "three columns": FIRST.rsplit(",", 1)[0],
    "an unquoted comma": FIRST.replace("wind chime", "wind, chime"),
    "another split": FIRST.replace("train", "val"),
    "no start": FIRST.replace(",74,", ",,"),
    "a fraction": FIRST.replace(",74,", ",7.4,"),
    "negative": FIRST.replace(",74,", ",-74,"),
    "up": FIRST.replace(youtube_id(2), "../../../etc"),
    "a folder": FIRST.replace(youtube_id(2), "abcde/ghijk"),
    "no label": FIRST.replace("wind chime", ""),
    "blanks around the label": FIRST.replace("wind chime", " wind chime"),
    "a label of its own": FIRST.replace("wind chime", "wind chimes"),
    "a line in the label": FIRST.replace("wind chime", '"wind\nchime"'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_list_names_its_line(root, case):
    path = root / "vggsound.csv"
    content = path.read_text("utf-8")
    assert FIRST in content
    path.write_text(content.replace(FIRST, HOSTILE[case]), "utf-8")
    with pytest.raises(ValueError, match="Received: ") as error:
        read_vggsound(root)
    line = 4 if case == "a line in the label" else 3
    assert f"{path}, line {line};" in str(error.value)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_clip_that_is_listed_twice_is_refused(root, split):
    path = root / "vggsound.csv"
    content = path.read_text("utf-8")
    path.write_text(content + FIRST.replace("train", split) + "\n", "utf-8")
    with pytest.raises(ValueError, match="not in .*line 3 too in .*line 13;"):
        read_vggsound(root)


def test_mutated_lists_are_read_rightly_or_named(root):
    path = root / "vggsound.csv"
    original, rng, outcomes = path.read_bytes(), np.random.default_rng(5), Counter()
    numbers = {vgg_name(number): number for number in range(12)}
    for _ in range(150):
        path.write_bytes(mutate(original, rng))
        try:
            splits = read_vggsound(root)
        except ValueError as error:
            assert str(root) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        for split in splits.values():
            right = [numbers[clip] for clip in split.ids]
            assert numbers_of(split) == (right, right)
            names = [split.class_names[label] for label in split.labels]
            assert names == [VGG_NAMES[number % 3] for number in right]
        outcomes["read"] += 1
    assert outcomes["named"] > 0 and outcomes["read"] > 0
