import numpy as np
import pytest
import scipy.io

from keras_c2kd.data import decode_sun_depth, read_sun_rgbd
from keras_c2kd.data.sun_rgbd import locate, read_scene, read_split_lists
from tests.conftest import SHARED
from tests.data.conftest import write_lists, write_scene

REAL = SHARED / "data" / "sun_rgbd"
real = pytest.mark.skipif(
    not REAL.exists(), reason="the real scenes are not beside the checkout (../shared)"
)


@real
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


@real
def test_the_real_lists_are_read_whole():
    ours = read_split_lists(locate(REAL)[1])
    assert (len(ours["train"]), len(ours["test"])) == (5285, 5050)
    assert not any(scene.endswith("/") for ids in ours.values() for scene in ids)


def test_a_tree_is_read_with_its_own_split(tree):
    splits = read_sun_rgbd(tree)
    assert splits["train"].ids == ("kv1/a/s0", "kv1/a/s1")
    assert splits["test"].ids == ("xtion/sun3ddata/b/c/s2", "kv2/d/s3")
    assert splits["train"].class_names == ("kitchen", "office")
    np.testing.assert_array_equal(splits["test"].labels, [0, 1])
    assert all("/depth_bfx/" in path for path in splits["test"].paths["depth"])
    raw = read_sun_rgbd(tree, depth="depth")["test"]
    assert all("/depth/" in path for path in raw.paths["depth"])


def test_sunrgbd_itself_may_be_named(tree):
    assert read_sun_rgbd(tree / "SUNRGBD")["train"].ids == ("kv1/a/s0", "kv1/a/s1")


def test_raw_depth_stands_in_for_a_missing_filled_one(tmp_path):
    for number, name in enumerate(("kitchen", "office", "kitchen", "office")):
        write_scene(tmp_path, f"kv1/s{number}", name, holes="elsewhere")
    write_lists(tmp_path, ["kv1/s0", "kv1/s1"], ["kv1/s2", "kv1/s3"])
    paths = read_sun_rgbd(tmp_path)["train"].paths["depth"]
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


def test_scenes_that_are_listed_but_not_there_are_counted(tree):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv1/gone"], ["kv2/d/s3"])
    assert "2 of 3 listed" in read_sun_rgbd(tree)["train"].notes[0]


def remove(path):
    path.unlink()


def link_out(path):
    outside = path.parents[5] / "outside.jpg"
    outside.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(outside)


BREAKS = {
    "no scene.txt": ("scene.txt", remove, "name of the scene's class in .*scene.txt"),
    "empty scene.txt": ("scene.txt", lambda p: p.write_text(" \n"), "an empty file"),
    "no image": ("image/a.jpg", remove, r"a file image/\*.jpg in .*s1"),
    "link": ("image/a.jpg", link_out, "symlink leads out"),
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
    assert any("1 incomplete" in note for note in train.notes)


def test_a_folder_that_is_something_else_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        ValueError, match="looked for the folder .*SUNRGBD and the file"
    ):
        read_sun_rgbd(tmp_path)


@pytest.mark.parametrize("scene", ["../../etc", "a/../../b", ""])
def test_a_list_cannot_lead_out_of_the_root(tree, scene):
    write_lists(tree, ["kv1/a/s0", scene], ["kv2/d/s3"])
    with pytest.raises(ValueError, match="below SUNRGBD/.*Received: path="):
        read_sun_rgbd(tree)


def test_one_class_or_an_empty_half_are_refused(tree):
    write_lists(tree, ["kv1/a/s0"], ["kv2/d/s3"])
    with pytest.raises(ValueError, match="two classes or more"):
        read_sun_rgbd(tree)
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1"], ["kv1/gone"])
    with pytest.raises(ValueError, match="scenes for test"):
        read_sun_rgbd(tree)
    with pytest.raises(ValueError, match=r"needs scenes in train.*'lab'"):
        read_sun_rgbd(tree, classes=("kitchen", "lab"))


@pytest.mark.parametrize("option", ["depth", "on_error"])
def test_unknown_options_are_refused(tree, option):
    with pytest.raises(ValueError, match=f"Received: {option}='maybe'"):
        read_sun_rgbd(tree, **{option: "maybe"})
