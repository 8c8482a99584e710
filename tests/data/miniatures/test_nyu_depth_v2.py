import hashlib

import h5py
import numpy as np
import pytest
import scipy.io

from keras_c2kd.data import decode
from keras_c2kd.data.miniatures.nyu_depth_v2 import (
    CLASS_NAMES,
    FINE_TO_CLASS,
    write_nyu_depth_v2,
)
from keras_c2kd.data.nyu_depth_v2 import read_nyu_depth_v2
from keras_c2kd.data.nyu_frames import VOID
from keras_c2kd.data.rooms import ROOM_CLASSES, furnish, photograph
from tests.data.conftest import packed
from tests.data.test_nyu_depth_v2 import REAL, modalities, needs_real_lists

FRAMES = "nyu_depth_v2_labeled.mat"


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return write_nyu_depth_v2(tmp_path_factory.mktemp("data") / "nyu", num_samples=24)


def digest(root):
    """The frames, and what the lists hold: their header has the date."""
    lists = [
        scipy.io.loadmat(root / name) for name in ("splits.mat", "classMapping40.mat")
    ]
    values = [str(v) for m in lists for k, v in m.items() if not k.startswith("__")]
    return hashlib.sha256((root / FRAMES).read_bytes()).hexdigest(), values


def test_the_variables_are_those_of_the_real_file(miniature):
    with h5py.File(miniature / FRAMES) as file:
        found = {name: (d.shape, d.dtype.str[1:]) for name, d in file.items()}
        assert all(d.chunks[0] == 1 and d.compression for d in file.values())
        assert file["labels"].attrs["MATLAB_class"] == b"uint16"
    assert found == {
        "images": ((24, 3, 80, 60), "u1"),
        "depths": ((24, 80, 60), "f4"),
        "rawDepths": ((24, 80, 60), "f4"),
        "labels": ((24, 80, 60), "u2"),
        "instances": ((24, 80, 60), "u1"),
    }
    header = (miniature / FRAMES).read_bytes()[:128]
    assert header.startswith(b"MATLAB 7.3 MAT-file") and header[124:] == b"\0\2IM"


@needs_real_lists
@pytest.mark.parametrize("name", ["splits.mat", "classMapping40.mat"])
def test_the_lists_are_built_like_the_real_ones(miniature, name):
    real, ours = (scipy.io.whosmat(root / name) for root in (REAL, miniature))
    kinds = {name: (shape, kind) for name, shape, kind in real}
    for variable, shape, kind in ours:
        assert kind == kinds[variable][1]
        if name != "splits.mat":
            assert shape == kinds[variable][0]
        else:
            assert len(shape) == 2 and shape[1] == 1
    if name != "splits.mat":
        cells = [scipy.io.loadmat(r / name)["className"] for r in (REAL, miniature)]
        assert [c.item() for c in cells[0][0]] == [c.item() for c in cells[1][0]]


def test_every_class_has_fine_classes():
    assert len(FINE_TO_CLASS) == 894 and set(FINE_TO_CLASS) == set(range(1, 41))
    assert len(set(CLASS_NAMES)) == 40


def test_the_reader_finds_what_the_rays_saw(miniature):
    splits = read_nyu_depth_v2(miniature)
    assert (len(splits["train"]), len(splits["test"])) == (13, 11)
    samples = splits["train"]
    read = packed(decode(samples, modalities(60, 80)))
    for sample, name in enumerate(samples.ids[:4]):
        number = int(name) - 1
        rng = np.random.default_rng([0, number])
        room, camera = furnish(ROOM_CLASSES[number % 8], rng)
        picture = photograph(room, camera, rng, 80, 60)
        np.testing.assert_array_equal(read["rgb"][sample], picture.rgb)
        np.testing.assert_array_equal(
            read["depth"][sample, ..., 0], picture.depth_filled
        )
        labels = read["labels"][sample, ..., 0]
        known = labels != VOID
        kinds = np.array(room.kinds)[picture.surface]
        np.testing.assert_array_equal(
            np.array(CLASS_NAMES)[labels[known]], kinds[known]
        )
        assert 0.7 < known.mean() < 1.0


def test_every_surface_has_a_name():
    for number, name in enumerate(ROOM_CLASSES * 3):
        room, _ = furnish(name, np.random.default_rng(number))
        assert set(room.kinds) <= set(CLASS_NAMES)
        assert len(room.kinds) == 6 + len(room.boxes)


def test_the_same_seed_writes_the_same_files(miniature, tmp_path):
    again = write_nyu_depth_v2(tmp_path / "again", num_samples=24)
    assert digest(again) == digest(miniature)
    other = write_nyu_depth_v2(tmp_path / "other", num_samples=8, seed=1)
    assert digest(other) != digest(write_nyu_depth_v2(tmp_path / "b", num_samples=8))


def test_a_second_call_finds_it_and_a_damaged_one_is_rebuilt(tmp_path):
    calls = []
    root = write_nyu_depth_v2(tmp_path / "nyu", 8, progress=lambda *n: calls.append(n))
    assert calls == [(done, 8) for done in range(1, 9)]
    good = digest(root)
    write_nyu_depth_v2(root, 8, progress=lambda *n: calls.append(n))
    assert len(calls) == 8
    (root / "splits.mat").unlink()
    assert digest(write_nyu_depth_v2(root, 8)) == good


def test_too_few_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: num_samples=3"):
        write_nyu_depth_v2(tmp_path / "nyu", num_samples=3)
