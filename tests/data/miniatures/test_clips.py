"""The three miniatures of clips: layout, determinism, and what can be learnt."""

import hashlib
import wave

import numpy as np
import pytest
from PIL import Image

from keras_c2kd.data.ave import read_ave
from keras_c2kd.data.cremad import read_cremad
from keras_c2kd.data.miniatures.ave import write_ave
from keras_c2kd.data.miniatures.clips import split_of
from keras_c2kd.data.miniatures.cremad import write_cremad
from keras_c2kd.data.miniatures.vggsound import write_vggsound
from keras_c2kd.data.vggsound import read_vggsound

MINIATURES = {
    "cremad": (write_cremad, read_cremad, 6, 24),
    "ave": (write_ave, read_ave, 8, 48),
    "vggsound": (write_vggsound, read_vggsound, 10, 40),
}
each = pytest.mark.parametrize("name", MINIATURES)


def digest(root):
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    return {
        name: write(folder / name, num_samples=60)
        for name, (write, *_) in MINIATURES.items()
    }


@each
def test_the_reader_finds_every_clip(roots, name):
    _, read, classes, _ = MINIATURES[name]
    splits = read(roots[name], min_found=1.0)
    assert sum(len(split) for split in splits.values()) == 60
    for split in splits.values():
        assert len(split.class_names) == classes
        assert set(split.labels) == set(range(classes))
        assert all("on disk" in note for note in split.notes) and not split.present
        assert (split.sources["audio"]["rate"] == 16000).all()
        assert (split.sources["audio"]["bits"] == 16).all()
    sizes = {Image.open(p).size for p in splits["test"].sources["image"].ravel()}
    assert len(sizes) == 1 and 64 <= sizes.pop()[0] <= 96


@each
def test_the_same_seed_gives_the_same_files(roots, name, tmp_path):
    write = MINIATURES[name][0]
    seen = []
    again = write(tmp_path / "a", 60, progress=lambda *counts: seen.append(counts))
    assert digest(again) == digest(roots[name])
    assert seen == [(number, 60) for number in range(1, 61)]
    other = digest(write(tmp_path / "b", 60, seed=1))
    assert other.keys() == digest(again).keys()
    changed = [path for path in other if other[path] != digest(again)[path]]
    assert len(changed) > 0.9 * len(other) - 5


@each
def test_one_that_is_there_is_kept_and_a_damaged_one_rebuilt(name, tmp_path):
    write, read, _, least = MINIATURES[name]
    root = write(tmp_path / "mini", least)
    file = next(root.rglob("*.wav"))
    then = file.stat().st_mtime_ns
    write(root, least)
    assert file.stat().st_mtime_ns == then
    next(root.rglob("*.jpg")).unlink()
    write(root, least)
    assert file.stat().st_mtime_ns != then
    assert all(len(split) for split in read(root, min_found=1.0).values())


@each
def test_too_few_are_refused(name, tmp_path):
    write, _, _, least = MINIATURES[name]
    with pytest.raises(ValueError, match=f"least {least} .*num_samples={least - 1}"):
        write(tmp_path / "mini", least - 1)


def test_frames_of_ave_are_called_after_their_second(roots):
    for line in (roots["ave"] / "trainSet.txt").read_text().splitlines():
        _, video, quality, start, end = line.split("&")
        files = (roots["ave"] / "Image-01-FPS-SE" / video).iterdir()
        seconds = sorted(int(file.stem) for file in files)
        assert seconds == list(range(int(start), int(end))) and quality == "good"
        with wave.open(str(roots["ave"] / "AudioWAV-SE" / f"{video}.wav")) as file:
            assert file.getnframes() == 16000 * (int(end) - int(start))


def test_shares_are_of_every_class():
    names = [split_of(number, 2, ("train", "train", "test")) for number in range(12)]
    assert names == (["train"] * 4 + ["test"] * 2) * 2


def picture(samples, position):
    path = samples.sources["image"][position, 0]
    return np.asarray(Image.open(path).resize((12, 12)), "float64").ravel() / 255


def spectrum(samples, position):
    """Mean and deviation of log energies in bands of equal width in octaves."""
    with wave.open(samples.source("audio", position)["path"]) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    parts = np.lib.stride_tricks.sliding_window_view(values, 512)[::512]
    energy = np.abs(np.fft.rfft(parts * np.hanning(512)))
    edges = np.unique(np.geomspace(1, 256, 25).astype(int))
    bands = np.log(np.add.reduceat(energy, edges, axis=1) + 1e-3)
    return np.concatenate([bands.mean(axis=0), bands.std(axis=0)])


def test_score(train, test, features):
    """Top-1 of ridge regression on standardised features."""
    x, y = (np.stack([features(s, i) for i in range(len(s))]) for s in (train, test))
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    x, y = ((part - mean) / deviation for part in (x, y))
    targets = np.eye(len(train.class_names))[train.labels]
    weights = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ targets)
    return (np.argmax(y @ weights, axis=1) == test.labels).mean()


test_score.__test__ = False


@pytest.mark.slow
@each
def test_both_modalities_tell_classes_apart_and_neither_perfectly(name, tmp_path):
    write, read, classes, _ = MINIATURES[name]
    splits = read(write(tmp_path / "mini", 600))
    chance = 1 / classes
    for features, least in ((picture, 1.3), (spectrum, 2.0)):
        score = test_score(splits["train"], splits["test"], features)
        print(name, features.__name__, score, chance)
        assert least * chance < score < 0.95
