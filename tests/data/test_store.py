"""One set of samples from memory, from a cache and from its files."""

import dataclasses
import json
import os
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from keras_c2kd.data import Modality, Samples, decode, make_batches, read_sun_rgbd
from keras_c2kd.data.order import Order
from keras_c2kd.data.store import packed_bytes
from tests.data.conftest import modalities, packed


@pytest.fixture
def train(miniature):
    return read_sun_rgbd(miniature)["train"]


def stored(train, storage, tmp_path, size=16):
    cache = tmp_path / "cache" if storage == "cache" else None
    memory = 0 if storage == "files" else 1 << 30
    decoded = decode(train, modalities(size), cache_dir=cache, memory=memory)
    assert decoded.storage == storage
    return decoded


@pytest.mark.parametrize("storage", ["cache", "files"])
def test_every_storage_holds_the_same(train, storage, tmp_path):
    reference = packed(stored(train, "memory", tmp_path))
    ours = packed(stored(train, storage, tmp_path))
    assert set(ours) == {"rgb", "depth", "position"}
    for name, array in ours.items():
        assert array.dtype == reference[name].dtype
        np.testing.assert_array_equal(array, reference[name])


@pytest.mark.parametrize("storage", ["memory", "cache", "files"])
def test_every_storage_shuffles_anew_and_under_the_seed(train, storage, tmp_path):
    decoded = stored(train, storage, tmp_path)
    batches = [decoded.batches(8, True, order=Order(seed)) for seed in (1, 1, 2)]
    one, two, other = (
        [np.concatenate([e["position"] for e in b]) for _ in range(2)] for b in batches
    )
    assert [list(a) for a in one] == [list(a) for a in two]
    assert list(one[0]) != list(one[1]) and list(one[0]) != list(other[0])
    assert all(len(set(order)) == len(order) == len(train) // 8 * 8 for order in one)


@pytest.mark.parametrize("storage", ["memory", "cache", "files"])
def test_every_storage_goes_on_in_the_middle_of_an_epoch(train, storage, tmp_path):
    decoded = stored(train, storage, tmp_path)

    def labels_and_images(epoch, start=0):
        batches = make_batches(decoded, 4, True, seed=5, epoch=epoch, start=start)
        return [(y, x["rgb"]) for x, y in batches.as_numpy_iterator()]

    whole, other = labels_and_images(3), labels_and_images(4)
    assert [list(y) for y, _ in whole] != [list(y) for y, _ in other]
    for start in (0, 1, 3, len(whole), len(whole) + 1):
        rest = labels_and_images(3, start)
        assert len(rest) == max(0, len(whole) - start)
        for (y, x), (y_rest, x_rest) in zip(whole[start:], rest, strict=True):
            np.testing.assert_array_equal(y_rest, y)
            np.testing.assert_array_equal(x_rest, x)


@pytest.mark.parametrize("storage", ["memory", "cache", "files"])
def test_image_and_label_stay_together(train, storage, tmp_path):
    decoded = stored(train, storage, tmp_path)
    reference = packed(decoded)
    batches = make_batches(decoded, 8, training=True, augment=False)
    assert int(batches.cardinality()) == len(train) // 8
    position_of = {image.tobytes(): i for i, image in enumerate(reference["rgb"])}
    seen = 0
    for inputs, labels in batches.as_numpy_iterator():
        for rgb, depth, label in zip(
            inputs["rgb"], inputs["depth"], labels, strict=True
        ):
            position = position_of[rgb.astype("uint8").tobytes()]
            metres = reference["depth"][position] / 1000
            np.testing.assert_allclose(depth, metres, rtol=1e-6)
            assert label == decoded.labels[position]
            seen += 1
    assert seen == len(train) // 8 * 8


def times(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_a_cache_is_used_again(train, tmp_path):
    stored(train, "cache", tmp_path)
    before, progress = times(tmp_path / "cache"), []
    decode(
        train,
        modalities(16),
        cache_dir=tmp_path / "cache",
        progress=lambda *n: progress.append(n),
    )
    assert times(tmp_path / "cache") == before and not progress
    assert [p.name for p in tmp_path.iterdir()] == ["cache"]


def torn(folder):
    shard = next(folder.glob("*.tfrecord"))
    os.truncate(shard, shard.stat().st_size - 10)


CHANGES = {
    "a torn shard": torn,
    "a shard is gone": lambda folder: next(folder.glob("*.tfrecord")).unlink(),
    "a torn manifest": lambda folder: os.truncate(folder / "cache.json", 40),
    "a strange manifest": lambda folder: (folder / "cache.json").write_text("[1]"),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_partial_cache_is_rebuilt(train, tmp_path, case):
    reference = packed(stored(train, "cache", tmp_path))
    CHANGES[case](tmp_path / "cache")
    again = packed(stored(train, "cache", tmp_path))
    for name, array in reference.items():
        np.testing.assert_array_equal(again[name], array)


def test_a_stale_cache_is_rebuilt(train, tmp_path):
    stored(train, "cache", tmp_path)
    assert packed(stored(train, "cache", tmp_path, size=8))["rgb"].shape[1:3] == (8, 8)
    fewer = train.take(range(10))
    assert len(packed(stored(fewer, "cache", tmp_path))["rgb"]) == 10
    relabelled = dataclasses.replace(fewer, labels=fewer.labels[::-1].copy())
    before = times(tmp_path / "cache")
    stored(relabelled, "cache", tmp_path)
    assert times(tmp_path / "cache") != before


def test_a_file_that_changed_makes_the_cache_stale(tree, tmp_path):
    train = read_sun_rgbd(tree)["train"]
    before = packed(decode(train, modalities(8), cache_dir=tmp_path / "cache"))
    os.replace(train.sources["rgb"][1], train.sources["rgb"][0])
    train = train.take([0])
    after = packed(decode(train, modalities(8), cache_dir=tmp_path / "cache"))
    assert before["rgb"][0].mean() == 50 and abs(after["rgb"][0].mean() - 100) <= 1


def test_a_broken_sample_is_left_out_of_the_cache_too(tree, tmp_path):
    train = read_sun_rgbd(tree)["train"]
    broken = str(train.sources["rgb"][0])
    with open(broken, "wb") as file:
        file.write(b"hello")
    with pytest.raises(ValueError, match="hello"):
        decode(train, modalities(8), cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    for _ in range(2):  # written, and read back
        decoded = decode(
            train, modalities(8), cache_dir=tmp_path / "cache", on_error="skip"
        )
        assert decoded.ids == train.ids[1:] and len(packed(decoded)["rgb"]) == 1
        assert [path for path, _ in decoded.skipped] == [broken]


def test_somebodys_folder_is_not_replaced(train, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "thesis.txt").write_text("all of it")
    with pytest.raises(ValueError, match="with other files"):
        stored(train, "cache", tmp_path)
    assert (tmp_path / "cache" / "thesis.txt").read_text() == "all of it"


def test_many_shards_hold_what_one_holds(train, tmp_path, monkeypatch):
    reference = packed(stored(train, "memory", tmp_path))
    monkeypatch.setattr("keras_c2kd.data.records._SHARD", 4000)
    decoded = stored(train, "cache", tmp_path)
    assert len(list((tmp_path / "cache").glob("*.tfrecord"))) > 5
    manifest = json.loads((tmp_path / "cache" / "cache.json").read_text())
    assert sum(manifest["shards"].values()) > 20 * 16 * 16 * 5
    ours = packed(decoded)
    np.testing.assert_array_equal(ours["rgb"], reference["rgb"])
    epoch = decoded.batches(8, False, order=Order(3))
    positions = np.concatenate([e["position"] for e in epoch])
    assert sorted(positions) == list(range(len(train)))


@dataclasses.dataclass(frozen=True)
class InPython(Modality):
    """A modality that only Python can read."""

    in_graph: ClassVar[bool] = False

    @property
    def spec(self):
        return tf.TensorSpec((4,), tf.float32)

    @property
    def input_shape(self):
        return (4,)

    def decode(self, source):
        if source == 3:
            raise ValueError("Expected no 3. Received: 3")
        return np.full(4, source, "float32")

    def where(self, source):
        return __file__


def test_a_modality_that_is_read_in_python_is_held_or_cached(tmp_path):
    labels = np.zeros(5, "int32")
    samples = Samples(tuple("abcde"), {"x": np.arange(5)}, labels, ("a", "b"))
    options = {"on_error": "skip"}
    for cache in (None, tmp_path / "cache"):
        decoded = decode(samples, {"x": InPython()}, cache_dir=cache, **options)
        assert packed(decoded)["x"][:, 0].tolist() == [0, 1, 2, 4]
        assert "Received: 3" in decoded.skipped[0][1]
    with pytest.raises(ValueError, match="give --cache_dir"):
        decode(samples, {"x": InPython()}, memory=10)


def test_the_size_of_a_packed_sample():
    assert packed_bytes(modalities(16)) == 16 * 16 * (3 + 2)
