from collections import Counter

import numpy as np
import pytest

from keras_c2kd.data.ave import AVE_CLASSES, list_ave, read_ave
from tests.conftest import SHARED
from tests.data.clip_files import AVE_NAMES, numbers_of, write_ave, youtube_id
from tests.data.conftest import mutate

REAL = SHARED / "data" / "lists" / "ave"
FILES = {"train": "trainSet.txt", "validation": "valSet.txt", "test": "testSet.txt"}
needs_real_lists = pytest.mark.skipif(
    not REAL.exists(), reason="the real lists are not in ../shared"
)


@pytest.fixture
def root(tmp_path):
    return write_ave(tmp_path)


@needs_real_lists
def test_the_real_lists_are_read_whole():
    _, clips = list_ave(REAL)
    assert [len(clips[split]) for split in FILES] == [3339, 402, 402]
    for split, file in FILES.items():
        rows = [line.split("&") for line in (REAL / file).read_text().splitlines()]
        assert [(r[0], r[1]) for r in rows] == [
            (clip.class_name, clip.video.stem) for clip in clips[split]
        ]
        spans = [(float(r[3]), float(r[4])) for r in rows if r[3] != r[4]]
        assert spans == [
            clip.span
            for clip, row in zip(clips[split], rows, strict=True)
            if row[3] != row[4]
        ]
    assert {clip.class_name for clip in clips["train"]} == set(AVE_CLASSES)
    assert len(AVE_CLASSES) == 28 and list(AVE_CLASSES) == sorted(AVE_CLASSES)


@needs_real_lists
def test_videos_of_two_categories_are_kept_and_counted(tmp_path):
    from tests.data.clip_files import write_frames, write_wav

    for file in FILES.values():
        (tmp_path / file).write_bytes((REAL / file).read_bytes())
    # A video of train and validation, and one that is twice in train.
    for video in ("00N83yxKYUI", "-TCDqe327us", "EsfJpLbBeb4"):
        write_frames(tmp_path / "Image-01-FPS-SE" / video, 1)
        write_wav(tmp_path / "AudioWAV-SE" / f"{video}.wav", 1)
    splits = read_ave(tmp_path)
    man, woman = "Male speech, man speaking", "Female speech, woman speaking"
    assert set(splits["train"].ids) == {
        f"{man}/00N83yxKYUI",
        f"{man}/-TCDqe327us",
        f"{woman}/-TCDqe327us",
    }
    assert splits["validation"].ids == (f"{woman}/00N83yxKYUI",)
    for split in splits.values():
        names = [split.class_names[label] for label in split.labels]
        assert names == [clip.split("/")[0] for clip in split.ids]
    assert len(splits["train"].class_names) == 28
    assert "test: 8 videos are in train too" in splits["test"].notes[1]
    assert "validation: 10 videos are in train too" in splits["validation"].notes[1]


@needs_real_lists
def test_the_event_that_ends_where_it_starts_is_a_second_long():
    _, clips = list_ave(REAL)
    spans = {clip.video.stem: clip.span for clip in clips["train"]}
    assert spans["VWi2ENBuTbw"] == (0.0, 1.0)


def test_frame_sound_and_label_of_an_event_stay_together(root):
    splits = read_ave(root)
    assert tuple(splits) == ("train", "validation", "test")
    ranges = {"train": range(6), "validation": range(6, 9), "test": range(9, 12)}
    for name, numbers in ranges.items():
        split = splits[name]
        assert split.class_names == AVE_NAMES
        assert split.ids == tuple(
            f"{AVE_NAMES[n % 3]}/{youtube_id(n)}" for n in numbers
        )
        assert numbers_of(split) == (list(numbers), list(numbers))
        np.testing.assert_array_equal(split.labels, np.array(numbers) % 3)


FIRST = f"Church bell&{youtube_id(1)}&good&1&10"
HOSTILE = {
    "unknown category": FIRST.replace("Church", "church"),
    "four columns": FIRST.rsplit("&", 1)[0],
    "six columns": FIRST + "&1",
    "an ampersand in the category": FIRST.replace("Church bell", "Church & bell"),
    "up": FIRST.replace(youtube_id(1), "../../../etc"),
    "a short id": FIRST.replace(youtube_id(1), youtube_id(1)[:-1]),
    "a folder": FIRST.replace(youtube_id(1), "abcde/ghijk"),
    "no number": FIRST.replace("&1&", "&one&"),
    "a fraction": FIRST.replace("&1&", "&1.5&"),
    "negative": FIRST.replace("&1&", "&-1&"),
    "backwards": FIRST.replace("&1&10", "&10&1"),
    "twice": f"{FIRST}\n{FIRST}",
    "two spans": f"{FIRST}\nBark&{youtube_id(1)}&good&2&10",
    "in two lists": f"Church bell&{youtube_id(7)}&good&2&10",
    "quoted": FIRST.replace("Church bell", '"Church bell"'),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_list_names_its_line(root, case):
    path = root / "trainSet.txt"
    content = path.read_text("utf-8")
    assert FIRST in content
    path.write_text(content.replace(FIRST, HOSTILE[case]), "utf-8")
    with pytest.raises(ValueError, match="Received: ") as error:
        read_ave(root)
    place = {"twice": f"{path}, line 3", "two spans": f"{path}, line 3"}
    place["in two lists"] = f"{root / 'valSet.txt'}, line 2"
    assert place.get(case, f"{path}, line 2;") in str(error.value)


def test_a_category_that_is_not_in_train_is_refused(root):
    path = root / "testSet.txt"
    path.write_text(path.read_text("utf-8").replace("Bark", "Flute"), "utf-8")
    with pytest.raises(ValueError, match="testSet.txt, line 1;.*Received: 'Flute'"):
        read_ave(root)


def test_windows_line_ends_and_a_byte_order_mark_are_fine(root):
    for file in FILES.values():
        content = (root / file).read_bytes().replace(b"\n", b"\r\n")
        (root / file).write_bytes(b"\xef\xbb\xbf" + content)
    assert len(read_ave(root)["train"]) == 6


def test_vanished_videos_are_counted(root):
    for file in (root / "Image-01-FPS-SE" / youtube_id(10)).iterdir():
        file.unlink()
    (root / "AudioWAV-SE" / f"{youtube_id(10)}.wav").unlink()
    test = read_ave(root)["test"]
    assert test.notes == ("2 of 3 listed test clips are on disk",)
    with pytest.raises(ValueError, match="--min_found. Received: 2 in"):
        read_ave(root, min_found=0.9)


def test_mutated_lists_are_read_rightly_or_named(root):
    path = root / "trainSet.txt"
    original, rng, outcomes = path.read_bytes(), np.random.default_rng(4), Counter()
    numbers = {f"{AVE_NAMES[n % 3]}/{youtube_id(n)}": n for n in range(12)}
    for _ in range(150):
        path.write_bytes(mutate(original, rng))
        try:
            train = read_ave(root)["train"]
        except ValueError as error:
            assert str(root) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        right = [numbers[clip] for clip in train.ids]
        assert numbers_of(train) == (right, right)
        names = [train.class_names[label] for label in train.labels]
        assert names == [AVE_NAMES[number % 3] for number in right]
        outcomes["read"] += 1
    assert outcomes["named"] > 0 and outcomes["read"] > 0
