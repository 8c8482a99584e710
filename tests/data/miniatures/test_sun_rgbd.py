import hashlib
import json
from collections import Counter

import numpy as np
import pytest
import scipy.io
from PIL import Image

import keras_c2kd.data.miniatures.sun_rgbd as module
from keras_c2kd.data import (
    contact_sheet,
    decode,
    read_sun_rgbd,
    write_sun_rgbd,
)
from keras_c2kd.data.sun_rgbd import read_split_lists
from tests.data.conftest import REAL, modalities, needs_real_scenes, packed

SPLIT_FILE = "SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat"


def digest(root):
    """A hash of every file but the split list, whose header holds the date."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".mat"
    }


def times(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*")}


def test_the_layout_is_that_of_sun_rgbd(miniature):
    cells = scipy.io.loadmat(miniature / SPLIT_FILE)
    listed = [str(c.item()) for n in ("alltrain", "alltest") for c in cells[n][0]]
    assert len(listed) == 48 and any(path.endswith("/") for path in listed)
    for path in listed:
        folder = miniature / path[path.index("SUNRGBD/") :]
        names = {p.name for p in folder.iterdir()}
        assert names == {"image", "depth", "depth_bfx", "scene.txt", "intrinsics.txt"}
    depths = {path.rstrip("/").count("/") for path in listed}
    assert len(depths) == 2  # sun3ddata lies deeper


def test_the_split_file_is_built_like_the_real_one(miniature):
    cells = scipy.io.loadmat(miniature / SPLIT_FILE)
    for name in ("alltrain", "alltest"):
        assert cells[name].dtype == object and cells[name].shape[0] == 1
        for cell in cells[name][0]:
            assert cell.shape == (1,) and cell.dtype.kind == "U"
            assert cell.item().startswith("/n/fs/sun3d/data/SUNRGBD/")


@needs_real_scenes
def test_the_files_are_built_like_the_real_ones(miniature):
    real = scipy.io.loadmat(REAL / SPLIT_FILE)
    ours = scipy.io.loadmat(miniature / SPLIT_FILE)
    for name in ("alltrain", "alltest"):
        kinds = [(c[name].ndim, c[name].shape[0], c[name].dtype) for c in (real, ours)]
        assert kinds[0] == kinds[1]
        cells = [c[name][0, 0] for c in (real, ours)]
        assert cells[0].shape == cells[1].shape
        assert cells[0].dtype.kind == cells[1].dtype.kind
    scenes = [next(root.rglob("scene.txt")).parent for root in (REAL, miniature)]
    for pattern in ("image/*.jpg", "depth/*.png", "depth_bfx/*.png"):
        images = [Image.open(next(scene.glob(pattern))) for scene in scenes]
        assert images[0].format == images[1].format
        assert images[0].mode == images[1].mode
    shapes = [np.loadtxt(scene / "intrinsics.txt").shape for scene in scenes]
    assert shapes == [(3, 3), (3, 3)]


def test_the_images_are_of_one_size_and_the_filled_depth_has_no_holes(miniature):
    folder = next(miniature.rglob("scene.txt")).parent
    colour = Image.open(next(folder.glob("image/*.jpg")))
    raw, filled = (
        np.asarray(Image.open(next(folder.glob(f"{kind}/*.png"))))
        for kind in ("depth", "depth_bfx")
    )
    assert colour.size == (160, 120) and raw.shape == filled.shape == (120, 160)
    assert (raw == 0).any() and (filled > 0).all()
    seen = raw > 0
    np.testing.assert_array_equal(raw[seen], filled[seen])


def test_every_sample_is_decoded(miniature):
    pairs = decode(read_sun_rgbd(miniature)["test"], modalities(32))
    assert len(pairs) == 16 and pairs.skipped == []
    assert 400 < np.median(packed(pairs)["depth"]) < 8000


def test_the_reader_finds_all_of_it_in_balance(miniature):
    splits = read_sun_rgbd(miniature)
    assert (len(splits["train"]), len(splits["test"])) == (32, 16)
    for index in splits.values():
        counts = Counter(index.labels.tolist())
        assert len(counts) == 8 and len(set(counts.values())) == 1
    assert not set(splits["train"].ids) & set(splits["test"].ids)


def test_the_same_seed_writes_the_same_files(miniature, tmp_path):
    again = write_sun_rgbd(tmp_path / "again", num_scenes=48)
    assert digest(again) == digest(miniature)
    lists = [read_split_lists(root / SPLIT_FILE) for root in (again, miniature)]
    assert lists[0] == lists[1]
    other = write_sun_rgbd(tmp_path / "other", num_scenes=16, seed=1)
    assert digest(other) != digest(write_sun_rgbd(tmp_path / "third", num_scenes=16))


def test_a_second_call_finds_what_the_first_wrote(miniature):
    before, progress = times(miniature), []
    root = write_sun_rgbd(
        str(miniature), num_scenes=48, progress=lambda *n: progress.append(n)
    )
    assert root == miniature and not progress and times(miniature) == before


def test_another_seed_or_size_replaces_it(tmp_path):
    seen = []
    root = write_sun_rgbd(tmp_path / "mini", num_scenes=16)
    first = digest(root)
    write_sun_rgbd(root, num_scenes=17, seed=1, progress=lambda *n: seen.append(n))
    assert seen == [(done, 17) for done in range(1, 18)]
    assert len(list(root.rglob("scene.txt"))) == 17
    assert first.items().isdisjoint(
        item for item in digest(root).items() if item[0].endswith((".jpg", ".png"))
    )
    assert [p.name for p in tmp_path.iterdir()] == ["mini"]


def make_stale(root):
    manifest = root / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 0}))


@pytest.mark.parametrize(
    "damage",
    [
        make_stale,
        lambda root: next(root.rglob("*.jpg")).unlink(),
        lambda root: (root / SPLIT_FILE).unlink(),
        lambda root: (root / "manifest.json").write_text("{"),
    ],
    ids=["stale", "no image", "no lists", "torn manifest"],
)
def test_a_stale_or_partial_one_is_rebuilt(tmp_path, damage):
    root = write_sun_rgbd(tmp_path / "mini", num_scenes=16)
    good = digest(root)
    damage(root)
    assert digest(write_sun_rgbd(root, num_scenes=16)) == good
    assert [p.name for p in tmp_path.iterdir()] == ["mini"]


def test_a_failure_midway_leaves_nothing_behind(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(module, "_write_split", fail)
    with pytest.raises(OSError, match="No space left"):
        write_sun_rgbd(tmp_path / "mini", num_scenes=16)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_midway_leaves_an_earlier_one_as_it_was(tmp_path):
    root = write_sun_rgbd(tmp_path / "mini", num_scenes=16)
    before = times(root)

    def interrupt(done, total):
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_sun_rgbd(root, num_scenes=16, seed=1, progress=interrupt)
    assert times(root) == before
    assert [p.name for p in tmp_path.iterdir()] == ["mini"]


def test_somebodys_folder_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="folder with other files"):
        write_sun_rgbd(tmp_path, num_scenes=16)
    assert (tmp_path / "thesis.tex").exists()


def test_too_few_scenes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: num_scenes=3"):
        write_sun_rgbd(tmp_path / "mini", num_scenes=3)


def test_the_contact_sheet_is_a_small_picture(miniature, tmp_path):
    contact_sheet(miniature, tmp_path / "sheet.png")
    content = (tmp_path / "sheet.png").read_bytes()
    assert content.startswith(b"\x89PNG") and 20_000 < len(content) < 300_000
