import hashlib
import json
from collections import Counter

import pytest
import scipy.io

import keras_c2kd.data.miniature as module
from keras_c2kd.data import contact_sheet, read_sun_rgbd, write_sun_rgbd


def digest(root):
    """A hash of every file but the split list, whose header holds the date."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix != ".mat"
    }


def test_the_layout_is_that_of_sun_rgbd(miniature):
    file = miniature / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    cells = scipy.io.loadmat(file)
    assert cells["alltrain"].shape[0] == cells["alltest"].shape[0] == 1
    listed = [str(c.item()) for n in ("alltrain", "alltest") for c in cells[n][0]]
    assert len(listed) == 48 and any(path.endswith("/") for path in listed)
    for path in listed:
        folder = miniature / path[path.index("SUNRGBD/") :]
        names = {p.name for p in folder.iterdir()}
        assert names == {"image", "depth", "depth_bfx", "scene.txt", "intrinsics.txt"}
    depths = {path.rstrip("/").count("/") for path in listed}
    assert len(depths) == 2  # sun3ddata lies deeper


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
    other = write_sun_rgbd(tmp_path / "other", num_scenes=16, seed=1)
    assert digest(other) != digest(write_sun_rgbd(tmp_path / "third", num_scenes=16))


def test_a_second_call_finds_what_the_first_wrote(miniature):
    before = (miniature / "manifest.json").stat().st_mtime_ns
    progress = []
    write_sun_rgbd(miniature, num_scenes=48, progress=lambda *n: progress.append(n))
    assert not progress
    assert (miniature / "manifest.json").stat().st_mtime_ns == before


def make_stale(root):
    manifest = root / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": 0}))


@pytest.mark.parametrize(
    "damage", [make_stale, lambda root: next(root.rglob("*.jpg")).unlink()]
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
