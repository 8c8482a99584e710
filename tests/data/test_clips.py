import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data.clips import find_file, find_frames, locate, read_rows
from keras_c2kd.data.cremad import read_cremad
from tests.data.clip_files import (
    cremad_stem,
    numbers_of,
    write_cremad,
    write_frames,
    write_wav,
)


def rows(tmp_path, content, **options):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    return [fields for _, fields in read_rows(path, ("a", "b"), **options)]


@pytest.mark.parametrize(
    "content",
    [
        b"1,x\n2,y\n",
        b"1,x\n2,y",
        b"1,x\r\n2,y\r\n",
        b"1,x\r2,y\r",
        b"\xef\xbb\xbf1,x\n2,y\n",
        b'"1","x"\n2,"y"\n',
        b"\n1,x\n\n2,y\n\n",
    ],
)
def test_a_list_is_read_however_it_was_saved(tmp_path, content):
    assert rows(tmp_path, content) == [["1", "x"], ["2", "y"]]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"1,x\n2\n", 2),
        (b"1,x\n2,y,z\n", 2),
        (b"1,x\n2,\n", 2),
        (b"1,x\n2, y\n", 2),
        (b"1,x\n2,y\0\n", 2),
        (b"1,x\n2,\xff\n", 2),
        (b'1,x\n2,"y\n3,z\n', 3),
        (b'1,x\n2,"y"z\n', 2),
        (b'1,"x\n2",y\n3,z\n', 2),
        ("1,x\n2,y\u2028\n".encode(), 2),
        ("1,x\n2,y\n".encode("utf-16"), 1),
        (b"1,x\n" + b"y" * 200_000 + b",2\n", 2),
    ],
)
def test_what_is_no_row_is_named_with_its_line(tmp_path, content, line):
    words = f"columns a,b in .*list.csv, line {line};|UTF-8 in .*list.csv, line {line};"
    with pytest.raises(ValueError, match=words) as error:
        rows(tmp_path, content)
    assert "Received: " in str(error.value)


def test_quotes_may_be_letters(tmp_path):
    assert rows(tmp_path, b'1&"x\n', delimiter="&", quoted=False) == [["1", '"x']]


def test_the_lists_that_are_missing_are_named(tmp_path):
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(ValueError, match="looked for .*b.csv and .*c.csv") as error:
        locate(tmp_path, "CREMA-D", ("a.csv", "b.csv", "c.csv"))
    assert str(error.value).endswith(f"Received: data_dir={str(tmp_path)!r}")


@given(there=st.integers(1, 30), wanted=st.integers(1, 6))
def test_frames_are_the_middles_of_equal_segments(tmp_path_factory, there, wanted):
    root = tmp_path_factory.mktemp("frames")
    for number in range(there):
        (root / f"{number}.jpg").touch()
    found = [int(os.path.basename(p)[:-4]) for p in find_frames(root, root, wanted)]
    # Frame k covers [k, k + 1); the middle of segment i lies at (i + 1/2) n / F.
    middles = (np.arange(wanted) + 0.5) * there / wanted
    np.testing.assert_array_equal(found, np.floor(middles + 1e-9))


def test_frames_are_counted_not_spelled_and_others_left_out(tmp_path):
    for name in ("frame_10.jpg", "frame_9.JPG", "frame_2.jpeg", "._frame_2.jpg", "a"):
        (tmp_path / name).touch()
    names = [os.path.basename(path) for path in find_frames(tmp_path, tmp_path, 3)]
    assert names == ["frame_2.jpeg", "frame_9.JPG", "frame_10.jpg"]


def test_where_there_are_no_frames_the_paths_are_empty(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for name in ("gone", "file", "empty", "x" * 300):
        assert find_frames(tmp_path, tmp_path / name, 2) == ["", ""]
    assert find_file(tmp_path, tmp_path / ("x" * 300)) == ""
    assert find_file(tmp_path, tmp_path / "empty") == ""


def test_links_that_lead_out_are_refused(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    write_frames(outside, 1)
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file.wav").symlink_to(outside / "00000.jpg")
    (root / "clip").mkdir()
    (root / "clip" / "0.jpg").symlink_to(outside / "00000.jpg")
    for path in ("folder", "clip"):
        with pytest.raises(ValueError, match="symlink leads out"):
            find_frames(root, root / path, 1)
    with pytest.raises(ValueError, match="symlink leads out"):
        find_file(root, root / "file.wav")


def test_links_that_stay_inside_are_followed(tmp_path):
    write_frames(tmp_path / "clip", 1)
    (tmp_path / "link").symlink_to(tmp_path / "clip")
    assert find_frames(tmp_path, tmp_path / "link", 1)[0].endswith("link/00001.jpg")


def frames(root, number):
    return root / "Image-01-FPS" / cremad_stem(number)


def wav(root, number):
    return root / "AudioWAV" / f"{cremad_stem(number)}.wav"


def remove_frames(root, number):
    for file in frames(root, number).iterdir():
        file.unlink()


@pytest.fixture
def damaged(tmp_path):
    """0 is whole, 1 lacks frames, 2 lacks its wav file, of 3 nothing is there."""
    write_cremad(tmp_path, train=range(4), test=range(4, 6))
    for number in (1, 3):
        remove_frames(tmp_path, number)
    for number in (2, 3):
        wav(tmp_path, number).unlink()
    return tmp_path


def test_incomplete_clips_are_left_out_and_counted(damaged):
    train = read_cremad(damaged)["train"]
    assert train.ids == (cremad_stem(0),) and train.present == {}
    assert numbers_of(train) == ([0], [0])
    assert train.notes == (
        "1 of 4 listed train clips are on disk",
        "incomplete samples were left out: 1 without image, 1 without audio",
    )


def test_incomplete_clips_may_stay(damaged):
    train = read_cremad(damaged, keep_incomplete=True)["train"]
    assert train.ids == tuple(map(cremad_stem, range(3)))
    np.testing.assert_array_equal(train.labels, [0, 1, 2])
    np.testing.assert_array_equal(train.present["image"], [True, False, True])
    np.testing.assert_array_equal(train.present["audio"], [True, True, False])
    assert train.notes[0] == "3 of 4 listed train clips are on disk"


def test_too_few_are_refused(damaged):
    assert len(read_cremad(damaged, min_found=0.25)["train"]) == 1
    with pytest.raises(ValueError, match="at least 2 of the 4 listed train clips"):
        read_cremad(damaged, min_found=0.26)
    assert len(read_cremad(damaged, min_found=0.75, keep_incomplete=True)["train"]) == 3


def test_none_at_all_says_how_they_are_made(damaged):
    remove_frames(damaged, 0)
    words = "data.prepare.*frames of 1 and wav files of 2"
    with pytest.raises(ValueError, match=words):
        read_cremad(damaged)


@pytest.mark.parametrize("content", [b"hello", b"", None])
def test_a_broken_wav_file_stops_or_is_left_out(tmp_path, content):
    write_cremad(tmp_path)
    write_wav(wav(tmp_path, 3), 3, samples=0)
    if content is not None:
        wav(tmp_path, 3).write_bytes(content)
    with pytest.raises(ValueError, match="Received: ") as error:
        read_cremad(tmp_path)
    assert str(wav(tmp_path, 3)) in str(error.value)
    train = read_cremad(tmp_path, on_error="skip")["train"]
    assert cremad_stem(3) not in train.ids and len(train) == 11
    assert any(str(wav(tmp_path, 3)) in note for note in train.notes)
    with pytest.raises(ValueError, match="Received: on_error='maybe'"):
        read_cremad(tmp_path, on_error="maybe")
