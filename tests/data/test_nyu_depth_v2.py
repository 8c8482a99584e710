"""NYU Depth V2: axes, classes, split; joint crops; and damage of every file."""

import shutil
from collections import Counter

import h5py
import numpy as np
import pytest
import scipy.io
import tensorflow as tf

from keras_c2kd.data import Draws, decode, make_batches
from keras_c2kd.data.miniatures.nyu_depth_v2 import CLASS_NAMES, write_nyu_depth_v2
from keras_c2kd.data.nyu_depth_v2 import (
    read_classes,
    read_nyu_depth_v2,
    read_split,
)
from keras_c2kd.data.nyu_frames import VOID, NyuDepth, NyuLabels, NyuRgb
from tests.conftest import SHARED
from tests.data.conftest import mutate, packed

REAL = SHARED / "data" / "nyu_depth_v2"
needs_real_lists = pytest.mark.skipif(
    not REAL.exists(), reason="the real lists are not beside the checkout (../shared)"
)
FRAMES, SPLITS, CLASSES = (
    "nyu_depth_v2_labeled.mat",
    "splits.mat",
    "classMapping40.mat",
)
NAMES = ("wall", "floor", "bed")
FINE = (3, 1, 2, 0, 1)  # the class of fine classes 1 to 5, from 1; 0 is void


def modalities(height, width):
    sizes = {"rgb": NyuRgb, "depth": NyuDepth, "labels": NyuLabels}
    return {name: kind(height, width) for name, kind in sizes.items()}


def write_classes(root, names=NAMES, classes=FINE):
    cells = np.empty((1, len(names)), object)
    cells[0] = names
    variables = {"className": cells, "mapClass": np.array([classes], float)}
    scipy.io.savemat(root / CLASSES, variables, do_compression=True)


def write_split(root, train=(1, 3, 6), test=(2, 4, 5)):
    columns = {"trainNdxs": train, "testNdxs": test}
    columns = {k: np.array(v, float).reshape(-1, 1) for k, v in columns.items()}
    scipy.io.savemat(root / SPLITS, columns, do_compression=True)


def write_frames(root, **changes):
    """Six frames of 4 rows and 5 columns, written as MATLAB would, columns first."""
    rng = np.random.default_rng(0)
    frames = {
        "images": rng.integers(0, 256, (6, 4, 5, 3)).astype("u1"),
        "depths": rng.uniform(0.7, 9.9, (6, 4, 5)).astype("f4"),
        "labels": rng.integers(0, 6, (6, 4, 5)).astype("u2"),
    }
    frames.update(changes)
    with h5py.File(root / FRAMES, "w", userblock_size=512) as file:
        for name, array in frames.items():
            if array is not None:
                # Python: frame, row, column(, channel). MATLAB, seen from Python: the
                # same with all axes but the first reversed.
                axes = (0, *reversed(range(1, array.ndim)))
                file.create_dataset(
                    name, data=array.transpose(axes), chunks=True, compression="gzip"
                )
    return frames


@pytest.fixture
def tree(tmp_path):
    write_classes(tmp_path), write_split(tmp_path), write_frames(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", [FRAMES, SPLITS, CLASSES])
def test_a_link_that_leads_out_is_refused(tree, name):
    root = tree / "inner"
    root.mkdir()
    for file in (FRAMES, SPLITS, CLASSES):
        (tree / file).rename(root / file)
    whole = tree / "link"
    whole.symlink_to(root)  # of all of it, it may be one
    assert len(read_nyu_depth_v2(whole)["train"]) == 3
    (root / name).rename(tree / name)
    (root / name).symlink_to(tree / name)
    for folder in (root, whole):
        with pytest.raises(ValueError, match=f"{name} to lie.*symlink leads out"):
            read_nyu_depth_v2(folder)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return write_nyu_depth_v2(tmp_path_factory.mktemp("data") / "nyu", num_samples=24)


# === The real lists ===


@needs_real_lists
def test_the_real_split_is_read_whole():
    split = read_split(REAL / SPLITS)
    assert (len(split["train"]), len(split["test"])) == (795, 654)
    everything = np.sort(np.concatenate(list(split.values())))
    np.testing.assert_array_equal(everything, np.arange(1449))
    theirs = scipy.io.loadmat(REAL / SPLITS)
    np.testing.assert_array_equal(split["test"] + 1, theirs["testNdxs"].ravel())


@needs_real_lists
def test_the_real_classes_are_read_whole():
    names, table = read_classes(REAL / CLASSES)
    assert len(names) == 40 and names[:3] == ("wall", "floor", "cabinet")
    assert names == CLASS_NAMES
    assert table.shape == (895,) and table[0] == VOID and table[1:].max() == 39
    fine = [c.item() for c in scipy.io.loadmat(REAL / CLASSES)["allClassName"].ravel()]
    for name in ("wall", "bed", "sofa", "toilet"):  # these are named alike
        assert names[table[1 + fine.index(name)]] == name


@needs_real_lists
def test_the_real_lists_with_frames_of_their_number(tmp_path):
    for name in (SPLITS, CLASSES):
        shutil.copy(REAL / name, tmp_path / name)
    labels = (np.arange(1449)[:, None, None] % 895).repeat(2, 1).repeat(3, 2)
    frames = {
        "images": np.zeros((1449, 2, 3, 3), "u1"),
        "depths": np.ones((1449, 2, 3), "f4"),
        "labels": labels.astype("u2"),
    }
    write_frames(tmp_path, **frames)
    splits = read_nyu_depth_v2(tmp_path)
    assert splits["test"].ids[:3] == ("0001", "0002", "0009")
    assert "795 of 795" in splits["train"].notes[0]
    read = packed(decode(splits["test"].take([2]), {"labels": NyuLabels(2, 3)}))
    mapping = scipy.io.loadmat(REAL / CLASSES)["mapClass"].ravel()
    assert (read["labels"] == mapping[8 - 1] - 1).all()  # frame 9 has fine class 8


# === Reading ===


def test_rows_are_rows_and_each_frame_has_its_own(tree):
    frames = write_frames(tree)
    splits = read_nyu_depth_v2(tree)
    assert splits["train"].ids == ("0001", "0003", "0006")
    assert splits["train"].class_names == NAMES
    table = np.array([VOID, 2, 0, 1, VOID, 0])
    for split, positions in (("train", [0, 2, 5]), ("test", [1, 3, 4])):
        read = packed(decode(splits[split], modalities(4, 5)))
        np.testing.assert_array_equal(read["rgb"], frames["images"][positions])
        np.testing.assert_array_equal(
            read["depth"][..., 0], np.round(1000 * frames["depths"][positions])
        )
        np.testing.assert_array_equal(
            read["labels"][..., 0], table[frames["labels"][positions]]
        )


def test_batches_are_what_a_model_takes(tree):
    frames = write_frames(tree)
    decoded = decode(read_nyu_depth_v2(tree)["train"], modalities(4, 5))
    ((inputs, labels),) = make_batches(decoded, 3, training=False)
    assert set(inputs) == {"rgb", "depth"}
    assert labels.shape == (3, 4, 5) and labels.dtype == tf.int32
    assert set(np.unique(labels)) <= {0, 1, 2, VOID}
    np.testing.assert_allclose(
        inputs["depth"][..., 0], frames["depths"][[0, 2, 5]], atol=6e-4
    )
    np.testing.assert_array_equal(inputs["rgb"], frames["images"][[0, 2, 5]])


def test_resizing_mixes_neither_depths_nor_classes(tree):
    frames = write_frames(tree)
    read = packed(decode(read_nyu_depth_v2(tree)["train"], modalities(3, 7)))
    millimetres = np.round(1000 * frames["depths"])
    assert set(np.unique(read["depth"])) <= set(np.unique(millimetres))
    assert set(np.unique(read["labels"])) <= {0, 1, 2, VOID}
    assert read["rgb"].shape == (3, 3, 7, 3)


def test_the_cache_gives_the_same_and_notices_other_classes(tree, tmp_path):
    samples, cache = read_nyu_depth_v2(tree)["train"], tmp_path / "cache"
    one = packed(decode(samples, modalities(4, 5)))
    two = packed(decode(samples, modalities(4, 5), cache_dir=cache))
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])
    write_classes(tree, classes=(1, 1, 1, 1, 1))
    samples = read_nyu_depth_v2(tree)["train"]
    three = packed(decode(samples, modalities(4, 5), cache_dir=cache))
    assert set(np.unique(three["labels"])) <= {0, VOID}


def test_frames_that_are_not_in_the_file_are_counted(tree):
    write_split(tree, train=(1, 3, 900), test=(2,))
    splits = read_nyu_depth_v2(tree)
    assert splits["train"].ids == ("0001", "0003")
    assert "2 of 3 listed train frames" in splits["train"].notes[0]
    with pytest.raises(ValueError, match="at least 3 of the 3 listed train frames"):
        read_nyu_depth_v2(tree, min_found=0.9)


def test_a_validation_part_can_be_held_out(tree):
    rest, held_out = read_nyu_depth_v2(tree)["train"].split(0.4, seed=0)
    assert sorted(rest.ids + held_out.ids) == ["0001", "0003", "0006"]
    assert len(packed(decode(held_out, modalities(4, 5)))["labels"]) == len(held_out)


# === Augmentation ===


def scene(size=(24, 32)):
    """Colour, depth and class of a pixel all follow from where it is."""
    rows, columns = np.mgrid[: size[0], : size[1]]
    classes = (rows // 6 + 4 * (columns // 8)).astype("u1")
    rgb = np.stack([10 * classes] * 3, axis=-1)
    depth = 500 + 100 * classes[..., None].astype("u2")
    return rgb, depth, classes[..., None]


def test_crops_keep_colour_depth_and_class_together():
    rgb, depth, labels = (np.repeat(a[None], 40, axis=0) for a in scene())
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(0, 0.25, (40, 2)), rng.uniform(0.6, 0.75, (40, 1))
    boxes = np.concatenate([corner, corner + side], axis=1)
    boxes[::2] = boxes[::2][:, [0, 3, 2, 1]]  # mirrored
    draws = Draws(tf.constant(boxes, tf.float32), tf.constant([1, 2]))
    kinds = modalities(24, 32)
    labels = kinds["labels"].prepare(labels, draws).numpy()
    depth = kinds["depth"].prepare(depth, draws).numpy()[..., 0]
    rgb = NyuRgb(24, 32, jitter=False).prepare(rgb, draws).numpy()[..., 0]
    np.testing.assert_allclose(depth, 0.5 + 0.1 * labels, atol=1e-5)
    # Colour is interpolated: the same wherever no edge is near.
    alike = np.abs(rgb - 10.0 * labels) < 1e-2
    assert alike.mean() > 0.7 and set(np.unique(labels)) <= set(range(16))
    assert (rgb[:, 0, 0] != rgb[:, 0, -1]).any()


def test_what_rounding_puts_outside_of_the_image_is_at_its_edge():
    labels = np.full((1, 24, 32, 1), 7, "u1")
    boxes = tf.constant([[0.0, 0.0, 1.2, 1.2]])
    kind = NyuLabels(24, 32)
    prepared = kind.prepare(labels, Draws(boxes, tf.constant([1, 2]))).numpy()
    assert set(np.unique(prepared)) == {7}
    assert set(np.unique(kind.prepare(labels + 248))) == {VOID}


def test_augmented_batches_are_the_same_under_a_seed(miniature):
    decoded = decode(read_nyu_depth_v2(miniature)["train"], modalities(30, 40))
    runs = []
    for _ in range(2):
        tf.random.set_seed(1)
        runs.append(list(make_batches(decoded, 4, training=True, seed=3)))
    for (one, y1), (two, y2) in zip(*runs, strict=True):
        np.testing.assert_array_equal(y1, y2)
        for name in one:
            np.testing.assert_array_equal(one[name], two[name])


# === What is wrong ===


def damaged(**changes):
    return lambda root: write_frames(root, **changes)


U2, F4 = (np.ones((6, 4, 5), kind) for kind in ("u2", "f4"))
FAULTS = {
    "no frames": (lambda root: (root / FRAMES).unlink(), FRAMES),
    "no split": (lambda root: (root / SPLITS).unlink(), SPLITS),
    "no classes": (lambda root: (root / CLASSES).unlink(), CLASSES),
    "text": (lambda root: (root / FRAMES).write_text("hello"), FRAMES),
    "no labels": (damaged(labels=None), "no dataset labels"),
    "fewer labels": (damaged(labels=U2[:5]), r"labels \(5, 5, 4\)"),
    "turned": (damaged(depths=F4.transpose(0, 2, 1)), r"depths \(6, 4, 5\)"),
    "doubles": (damaged(depths=F4.astype("f8")), "f8"),
    "grey": (damaged(images=np.ones((6, 4, 5, 1), "u1")), r"images \(6, 1, 5, 4\)"),
    "from zero": (lambda root: write_split(root, train=(0, 1)), "trainNdxs"),
    "half": (lambda root: write_split(root, test=(1.5, 2)), "testNdxs"),
    "NaN": (lambda root: write_split(root, test=(np.nan, 2)), "testNdxs"),
    "twice": (lambda root: write_split(root, train=(1, 1)), "trainNdxs"),
    "leak": (lambda root: write_split(root, train=(1, 2), test=(2,)), "both halves"),
    "empty": (lambda root: write_split(root, test=()), "testNdxs"),
    "elsewhere": (lambda root: write_split(root, test=(99,)), "0 in data_dir"),
    "class 4 of 3": (lambda root: write_classes(root, classes=(1, 4)), "mapClass"),
    "one name twice": (lambda root: write_classes(root, ("a", "a")), "className"),
    "no names": (lambda root: write_classes(root, ("",)), "className"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_is_said(tree, case):
    change, words = FAULTS[case]
    change(tree)
    with pytest.raises(ValueError, match=f"Received: .*{words}|{words}.*Received: "):
        read_nyu_depth_v2(tree)


BROKEN = {
    "labels": (np.full((6, 4, 5), 6, "u2"), "class 6 of 5"),
    "depths": (np.full((6, 4, 5), np.nan, "f4"), "no metres"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_frame_with_impossible_values_is_named(tree, name):
    wrong, words = BROKEN[name]
    values = write_frames(tree)[name]
    values[2] = wrong[2]
    write_frames(tree, **{name: values})
    samples = read_nyu_depth_v2(tree)["train"]
    with pytest.raises(ValueError, match=f"{FRAMES}.*frame 3 of {name}.*{words}"):
        decode(samples, modalities(4, 5))
    kept = decode(samples, modalities(4, 5), on_error="skip")
    assert kept.ids == ("0001", "0006") and len(kept.skipped) == 1


@pytest.mark.parametrize("values", [-1.0, 66.0, np.inf])
def test_depths_that_millimetres_cannot_hold_are_refused(tree, values):
    write_frames(tree, depths=np.full((6, 4, 5), values, "f4"))
    with pytest.raises(ValueError, match="no metres"):
        decode(read_nyu_depth_v2(tree)["train"], modalities(4, 5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"), [(FRAMES, 80), (SPLITS, 120), (CLASSES, 120)]
)
def test_mutated_files_are_read_or_named(tree, name, count):
    path, kinds = tree / name, modalities(4, 5)
    truth = {s: packed(decode(x, kinds)) for s, x in read_nyu_depth_v2(tree).items()}
    original = path.read_bytes()
    rng, outcomes = np.random.default_rng(7), Counter()
    for _ in range(count):
        path.write_bytes(mutate(original, rng))
        try:
            splits = read_nyu_depth_v2(tree)
            read = {s: packed(decode(x, kinds)) for s, x in splits.items()}
        except ValueError as error:
            assert str(path) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        outcomes["read"] += 1
        for split, samples in splits.items():
            # All of it or an error: what is compressed has checksums.
            assert len(samples) == len(truth[split]["labels"])
            for modality in kinds:
                np.testing.assert_array_equal(
                    read[split][modality], truth[split][modality]
                )
    assert outcomes["named"] > 0
