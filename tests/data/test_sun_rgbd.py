import shutil
import struct
import tracemalloc

import numpy as np
import pytest
import scipy.io

from keras_c2kd.data import (
    OFFICIAL_CLASSES,
    decode,
    decode_sun_depth,
    read_sun_rgbd,
)
from keras_c2kd.data.sun_rgbd import locate, read_scene, read_split_lists
from tests.data.conftest import (
    REAL,
    modalities,
    needs_real_scenes,
    packed,
    write_lists,
    write_scene,
)


@needs_real_scenes
@pytest.mark.parametrize(
    ("scene", "mean"),
    [
        ("kv2/align_kv2/2014-12-18_11-31-54_260595134347", 2.4069),
        ("kv1/b3dodata/img_0063", 1.9656),
    ],
)
def test_the_real_scenes_have_their_depth_class_and_split(scene, mean):
    root, split_file = locate(REAL)
    read = read_scene(root, scene, depth="depth")
    with open(read.depth, "rb") as file:
        depth = decode_sun_depth(file.read()).numpy()
    assert abs(depth[depth > 0].mean() - mean) < 5e-5
    assert read.class_name == "office"
    cells = scipy.io.loadmat(split_file)
    listed = {
        split: any(scene in str(cell.item()) for cell in cells[f"all{split}"].ravel())
        for split in ("train", "test")
    }
    ours = read_split_lists(split_file)
    assert {split: scene in ids for split, ids in ours.items()} == listed
    assert sum(listed.values()) == 1


@needs_real_scenes
def test_the_real_lists_are_read_whole():
    ours = read_split_lists(locate(REAL)[1])
    assert (len(ours["train"]), len(ours["test"])) == (5285, 5050)
    assert not any(scene.endswith("/") for ids in ours.values() for scene in ids)
    assert not set(ours["train"]) & set(ours["test"])


@needs_real_scenes
def test_two_scenes_of_one_class_are_no_dataset():
    with pytest.raises(ValueError, match=f"two classes or more.*{REAL.name}"):
        read_sun_rgbd(REAL)


def test_a_tree_is_read_with_its_own_split(tree):
    splits = read_sun_rgbd(tree)
    assert splits["train"].ids == ("kv1/a/s0", "kv1/a/s1")
    assert splits["test"].ids == ("xtion/sun3ddata/b/c/s2", "kv2/d/s3")
    assert splits["train"].class_names == ("kitchen", "office")
    np.testing.assert_array_equal(splits["test"].labels, [0, 1])
    assert all("/depth_bfx/" in path for path in splits["test"].sources["depth"])
    raw = read_sun_rgbd(tree, depth="depth")["test"]
    assert all("/depth/" in path for path in raw.sources["depth"])


def test_sunrgbd_itself_may_be_named(tree):
    assert read_sun_rgbd(tree / "SUNRGBD")["train"].ids == ("kv1/a/s0", "kv1/a/s1")


@pytest.mark.parametrize("folder", [".", "SUNRGBD"])
def test_the_folder_may_be_the_current_one(tree, monkeypatch, folder):
    monkeypatch.chdir(tree / folder)
    index = read_sun_rgbd(".")["train"]
    assert index.ids == ("kv1/a/s0", "kv1/a/s1")
    monkeypatch.chdir("/")
    assert len(decode(index, modalities(8))) == 2


def test_the_folder_may_be_a_link_and_a_string(tree):
    link = tree.parent / "link"
    link.symlink_to(tree)
    assert len(read_sun_rgbd(f"{link}/")["test"]) == 2


def test_a_scene_that_is_listed_twice_is_read_once(tree):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1/", "kv1/a//s0/"], ["kv2/d/s3"])
    assert read_sun_rgbd(tree)["train"].ids == ("kv1/a/s0", "kv1/a/s1")


@pytest.mark.parametrize("path", ["kv1/gone", "x" * 300, "kv1/a/s0/scene.txt"])
def test_a_listed_path_that_is_no_folder_is_not_there(tree, path):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1"], ["kv2/d/s3", path])
    assert "1 of 2 listed" in read_sun_rgbd(tree)["test"].notes[0]


def test_raw_depth_stands_in_for_a_missing_filled_one(tmp_path):
    for number, name in enumerate(("kitchen", "office", "kitchen", "office")):
        write_scene(tmp_path, f"kv1/s{number}", name, holes="elsewhere")
    write_lists(tmp_path, ["kv1/s0", "kv1/s1"], ["kv1/s2", "kv1/s3"])
    paths = read_sun_rgbd(tmp_path)["train"].sources["depth"]
    assert all("/depth/" in path for path in paths)


def test_the_official_classes_are_the_default_filter(tree):
    for scene in ("kv1/extra0", "kv1/extra1"):
        write_scene(tree, scene, "idk")
    write_lists(
        tree, ["kv1/a/s0", "kv1/a/s1", "kv1/extra0"], ["kv2/d/s3", "kv1/extra1"]
    )
    splits = read_sun_rgbd(tree)
    assert splits["train"].class_names == ("kitchen", "office")
    assert any("1 scenes of other classes" in note for note in splits["test"].notes)
    chosen = read_sun_rgbd(tree, classes=("idk", "office"))
    assert chosen["train"].class_names == ("idk", "office")
    assert len(chosen["train"]) == len(chosen["test"]) == 2


def test_there_are_19_official_classes():
    assert len(set(OFFICIAL_CLASSES)) == 19
    assert list(OFFICIAL_CLASSES) == sorted(OFFICIAL_CLASSES)


def test_where_no_class_is_official_all_of_train_are_taken(tmp_path):
    for number, name in enumerate(("idk", "attic", "idk", "attic", "cellar")):
        write_scene(tmp_path, f"kv1/s{number}", name)
    write_lists(tmp_path, ["kv1/s0", "kv1/s1"], ["kv1/s2", "kv1/s3", "kv1/s4"])
    splits = read_sun_rgbd(tmp_path)
    assert splits["train"].class_names == ("attic", "idk")
    assert splits["test"].ids == ("kv1/s2", "kv1/s3")


def test_scenes_that_are_listed_but_not_there_are_counted(tree):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv1/gone"], ["kv2/d/s3"])
    assert "2 of 3 listed" in read_sun_rgbd(tree)["train"].notes[0]


def remove(path):
    path.unlink()


def link_out(path):
    outside = path.parents[path.parts[::-1].index("SUNRGBD")] / "outside"
    path.rename(outside)
    path.symlink_to(outside)


def link_to_itself(path):
    path.unlink()
    path.symlink_to(path)


def no_depth(path):
    for file in path.parent.glob("depth*/*"):
        file.unlink()


BREAKS = {
    "no scene.txt": ("scene.txt", remove, "name of the scene's class in .*scene.txt"),
    "empty scene.txt": ("scene.txt", lambda p: p.write_text(" \n"), "an empty file"),
    "no image": ("image/a.jpg", remove, r"a file image/\*.jpg in .*s1"),
    "no UTF-8": ("scene.txt", lambda p: p.write_bytes(b"\xff"), "UnicodeDecodeError"),
    "no depth": (
        "depth",
        no_depth,
        r"depth_bfx/\*.png or depth/\*.png in .*s1\b.*no such file",
    ),
    "image link": ("image/a.jpg", link_out, r"a.jpg to lie.*symlink leads out"),
    "depth link": ("depth_bfx/a.png", link_out, r"a.png to lie.*symlink leads out"),
    "class link": ("scene.txt", link_out, r"scene.txt to lie.*symlink leads out"),
    "folder link": ("", link_out, "symlink leads out"),
    "image folder link": ("image", link_out, r"a.jpg to lie.*symlink leads out"),
    "class link loop": ("scene.txt", link_to_itself, "scene.txt"),
    "image link loop": ("image/a.jpg", link_to_itself, "a.jpg"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_an_incomplete_scene_stops_or_is_left_out(tree, case):
    path, change, words = BREAKS[case]
    write_scene(tree, "kv1/a/s4", "office")
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv1/a/s4"], ["kv2/d/s3"])
    change(tree / "SUNRGBD" / "kv1/a/s1" / path)
    with pytest.raises(ValueError, match=words) as error:
        read_sun_rgbd(tree)
    assert "Received: " in str(error.value) and "on_error=skip" in str(error.value)
    train = read_sun_rgbd(tree, on_error="skip")["train"]
    assert train.ids == ("kv1/a/s0", "kv1/a/s4")
    assert "train: 1 incomplete scenes were left out" in train.notes
    assert any("kv1/a/s1" in note and "Received: " in note for note in train.notes)


def test_a_source_that_is_a_link_out_is_refused(tree):
    outside = tree / "outside"
    (tree / "SUNRGBD/kv2").rename(outside)
    (tree / "SUNRGBD/kv2").symlink_to(outside)
    with pytest.raises(ValueError, match="scene.txt to lie.*symlink leads out"):
        read_sun_rgbd(tree)


def test_a_link_that_stays_inside_is_followed(tree):
    image = tree / "SUNRGBD/kv1/a/s1/image/a.jpg"
    image.unlink()
    image.symlink_to(tree / "SUNRGBD/kv1/a/s0/image/a.jpg")
    assert len(read_sun_rgbd(tree)["train"]) == 2


@pytest.mark.parametrize("there", ["", "SUNRGBD", "SUNRGBDtoolbox/traintestSUNRGBD"])
def test_a_folder_that_is_something_else_says_what_was_looked_for(tmp_path, there):
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError) as error:
        read_sun_rgbd(tmp_path)
    message = str(error.value)
    assert f"looked for the folder {tmp_path / 'SUNRGBD'} and the file" in message
    split_file = tmp_path / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    assert str(split_file) in message
    assert message.endswith(f"Received: data_dir={str(tmp_path)!r}")


CELL = np.array([["/d/SUNRGBD/kv1/a/s0"]], object)
NO_LISTS = {
    "text": b"hello",
    "nothing": b"",
    "other names": {"train": CELL, "test": CELL},
    "no test": {"alltrain": CELL},
    "numbers": {"alltrain": np.eye(3), "alltest": CELL},
    "words": {"alltrain": "kitchen", "alltest": CELL},
    "empty cells": {"alltrain": np.array([[""]], object), "alltest": CELL},
}


@pytest.mark.parametrize("kind", NO_LISTS)
def test_a_split_file_that_holds_no_lists_is_named(tmp_path, kind):
    file, content = tmp_path / "allsplit.mat", NO_LISTS[kind]
    if isinstance(content, bytes):
        file.write_bytes(content)
    else:
        scipy.io.savemat(file, content)
    with pytest.raises(ValueError, match="Received: ") as error:
        read_split_lists(file)
    assert str(file) in str(error.value)


def test_a_split_file_that_claims_billions_of_scenes_takes_no_memory(tmp_path):
    file = write_lists(tmp_path, [f"kv1/s{n}" for n in range(7)], ["kv2/d/s3"])
    one, claimed = (struct.pack("<4i", 5, 8, 1, n) for n in (7, 2**30))
    content = file.read_bytes()
    assert content.count(one) == 1
    file.write_bytes(content.replace(one, claimed))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="cell array of shape .*1073741824"):
            read_split_lists(file)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


def test_a_split_file_that_ends_early_is_named(tree):
    file = tree / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(ValueError, match="download it again") as error:
        read_sun_rgbd(tree)
    assert str(file) in str(error.value)


@pytest.mark.parametrize("path", ["", "traintestSUNRGBD", "traintestSUNRGBD/allsplit"])
def test_of_the_toolbox_only_the_whole_may_be_a_link(tree, path):
    inner = tree / "SUNRGBDtoolbox" / (f"{path}.mat" if "/" in path else path)
    outside = tree / "outside"
    inner.rename(outside)
    inner.symlink_to(outside)
    if not path:
        assert len(read_sun_rgbd(tree)["train"]) == 2
        return
    with pytest.raises(ValueError, match="allsplit.mat to lie.*symlink leads out"):
        read_sun_rgbd(tree)


@pytest.mark.parametrize(
    "scene", ["../../etc", "a/../../b", "", "/etc", "x/SUNRGBD/../../../etc", "a/.."]
)
def test_a_list_cannot_lead_out_of_the_root(tree, scene):
    write_lists(tree, ["kv1/a/s0", scene], ["kv2/d/s3"])
    with pytest.raises(ValueError, match="below SUNRGBD/.*mat.*Received: path="):
        read_sun_rgbd(tree)


BOTH = ("kv1/a/s0", "kv1/a/s1")
HALVES = {
    "one class": (BOTH[:1], BOTH, None, r"two classes or more.*\['kitchen'\]"),
    "one class chosen": (BOTH, BOTH, ("office",), r"two classes or more.*\['office'\]"),
    "no train": ((), BOTH, None, "1 of the 0 listed train scenes on disk"),
    "train not there": (("kv1/gone",), BOTH, None, "1 of the 1 listed train scenes"),
    "no test": (BOTH, (), None, "1 of the 0 listed test scenes on disk"),
    "test not there": (BOTH, ("kv1/gone",), None, "1 of the 1 listed test scenes"),
    "class not there": (BOTH, BOTH, ("kitchen", "lab"), "needs scenes in train.*'lab'"),
}


@pytest.mark.parametrize("case", HALVES)
def test_one_class_or_an_empty_half_are_refused(tree, case):
    train, test, classes, words = HALVES[case]
    write_lists(tree, train, test)
    with pytest.raises(ValueError, match=words) as error:
        read_sun_rgbd(tree, classes=classes)
    assert f"data_dir={str(tree)!r}" in str(error.value)


@pytest.mark.parametrize("option", ["depth", "on_error"])
def test_unknown_options_are_refused(tree, option):
    with pytest.raises(ValueError, match=f"Received: {option}='maybe'"):
        read_sun_rgbd(tree, **{option: "maybe"})


def test_a_scene_without_depth_may_stay(tree):
    folder = tree / "SUNRGBD" / "kv1/a/s1"
    shutil.rmtree(folder / "depth_bfx"), shutil.rmtree(folder / "depth")
    train = read_sun_rgbd(tree, keep_incomplete=True)["train"]
    assert train.ids == ("kv1/a/s0", "kv1/a/s1")
    assert list(train.present["depth"]) == [True, False]
    assert train.present["rgb"].all() and "1 without depth" in train.notes[-1]
    batches = packed(decode(train, modalities(8)))
    assert batches["depth"][0].any() and not batches["depth"][1].any()
    with pytest.raises(ValueError, match="Expected a file depth_bfx"):
        read_sun_rgbd(tree)


def test_a_part_of_the_dataset_is_refused_below_min_found(tree):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv1/a/gone"], ["kv2/d/s3"])
    assert "2 of 3 listed train scenes" in read_sun_rgbd(tree)["train"].notes[0]
    with pytest.raises(ValueError, match="at least 3 of the 3.*Received: 2"):
        read_sun_rgbd(tree, min_found=0.7)


def test_sizes_are_compared_where_both_are_there(tree):
    shutil.rmtree(tree / "SUNRGBD/kv1/a/s1/depth_bfx")
    shutil.rmtree(tree / "SUNRGBD/kv1/a/s1/depth")
    write_scene(tree, "kv1/a/s0", "kitchen", size=(12, 14))
    image = tree / "SUNRGBD/kv2/d/s3/image/a.jpg"
    (tree / "SUNRGBD/kv1/a/s0/image/a.jpg").write_bytes(image.read_bytes())
    train = read_sun_rgbd(tree, keep_incomplete=True)["train"]
    with pytest.raises(ValueError, match="one size.*kv1/a/s0"):
        decode(train, modalities(8))
