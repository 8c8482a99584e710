import io
import shutil
import tracemalloc
import wave
import zipfile
from collections import Counter

import numpy as np
import pytest
import scipy.io.wavfile
import tensorflow as tf

from keras_c2kd.data import (
    Crops,
    Digits,
    Draws,
    Spectrogram,
    decode,
    make_batches,
    read_av_mnist,
    write_av_mnist,
)
from keras_c2kd.data.av_mnist import read_mnist
from tests.conftest import SHARED
from tests.data.conftest import mutate

REAL = SHARED / "data" / "av_mnist"
needs_real = pytest.mark.skipif(
    not REAL.exists(), reason="the real digits are not beside the checkout (../shared)"
)
PARTS = ("train", "validation", "test")
SPEAKERS = ("ada", "bob")


def audio(**options):
    return Spectrogram(8000, 0.1, 64, 32, **options)


def write_wav(path, number, rate=8000):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", None))
        file.writeframes(np.full(100, number, "<i2").tobytes())


def write_digits(root, train=120, test=40, takes=12):
    """An image's number is in its pixels, a recording's is in its samples."""
    (root / "recordings").mkdir(parents=True, exist_ok=True)
    arrays = {}
    for part, count, first in (("train", train, 0), ("test", test, 128)):
        numbers = np.arange(count)
        arrays[f"x_{part}"] = np.zeros((count, 28, 28), "uint8")
        arrays[f"x_{part}"][:, 0, 0] = first + numbers % 128
        arrays[f"y_{part}"] = (numbers % 10).astype("uint8")
    np.savez_compressed(root / "mnist.npz", **arrays)
    for digit in range(10):
        for voice, speaker in enumerate(SPEAKERS):
            for take in range(takes):
                name = f"{digit}_{speaker}_{take}.wav"
                value = 1 + digit * 100 + voice * 50 + take
                write_wav(root / "recordings" / name, value)
    return root


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("av_mnist") / "data")


@pytest.fixture
def root(original, tmp_path):
    return shutil.copytree(original, tmp_path / "data")


def heard(path):
    rate, samples = scipy.io.wavfile.read(path)
    assert rate == 8000
    return samples[0] - 1


def test_every_image_is_paired_with_a_recording_of_its_class(original):
    splits = read_av_mnist(original)
    assert tuple(splits) == PARTS
    assert [len(splits[part]) for part in PARTS] == [100, 20, 40]
    for samples in splits.values():
        paths = samples.sources["audio"]["path"]
        np.testing.assert_array_equal([heard(p) // 100 for p in paths], samples.labels)
        numbers = samples.sources["image"]["image"][:, 0, 0, 0] % 128
        np.testing.assert_array_equal(numbers % 10, samples.labels)
        assert samples.class_names == tuple("0123456789")
        assert samples.labels.dtype == np.int32 and len(set(samples.ids)) == len(paths)
    assert "100 images paired with 40 recordings" in splits["train"].notes[0]


def test_no_image_and_no_recording_is_in_two_parts(original):
    splits = read_av_mnist(original)
    images = {p: set(splits[p].sources["image"]["image"][:, 0, 0, 0]) for p in PARTS}
    sounds = {p: set(splits[p].sources["audio"]["path"]) for p in PARTS}
    for seen in (images, sounds):
        assert sum(map(len, seen.values())) == len(set.union(*seen.values()))
    takes = {p: {heard(path) % 50 for path in sounds[p]} for p in PARTS}
    assert takes == {
        "test": set(range(5)),
        "validation": set(range(5, 10)),
        "train": {10, 11},
    }


def test_recordings_are_dealt_out_evenly(original):
    splits = read_av_mnist(original)
    for part in ("train", "test"):
        counts = Counter(splits[part].sources["audio"]["path"])
        for digit in range(10):
            mine = [n for path, n in counts.items() if f"/{digit}_" in path]
            assert max(mine) - min(mine) <= 1


def test_the_seed_draws_the_pairs_and_nothing_else(original, tmp_path):
    def paths(seed):
        return [
            list(s.sources["audio"]["path"])
            for s in read_av_mnist(original, seed).values()
        ]

    assert paths(0) == paths(0) != paths(1)
    ours, others = read_av_mnist(original, 0), read_av_mnist(original, 1)
    for part in PARTS:
        np.testing.assert_array_equal(ours[part].labels, others[part].labels)
        assert ours[part].ids == others[part].ids


def test_what_is_decoded_belongs_together(original):
    samples = read_av_mnist(original)["test"]
    decoded = decode(samples, {"image": Digits(), "audio": audio()})
    for batch in decoded.batches(7, False).as_numpy_iterator():
        labels = samples.labels[batch["position"]]
        np.testing.assert_array_equal(batch["image"][:, 0, 0, 0] % 128 % 10, labels)
        np.testing.assert_array_equal((batch["audio"][:, 0] - 1) // 100, labels)


def test_batches_are_what_models_take(original):
    splits = read_av_mnist(original)
    modalities = {"image": Digits(), "audio": audio()}
    decoded = decode(splits["train"], modalities)
    crops = Crops(smallest=0.8, mirror=0.0)
    for training in (True, False):
        batches = make_batches(decoded, 10, training=training, crops=crops)
        for inputs, labels in batches:
            assert inputs["image"].shape == (10, 28, 28, 1)
            assert inputs["audio"].shape == (10, *modalities["audio"].input_shape)
            assert inputs["image"].dtype == inputs["audio"].dtype == tf.float32
            assert labels.shape == (10,)


def test_images_are_unchanged_in_evaluation_and_cropped_in_training(original, rng):
    images = rng.integers(0, 256, (3, 28, 28, 1)).astype("uint8")
    np.testing.assert_array_equal(Digits().prepare(images), images.astype("float32"))
    whole = Draws(tf.constant([[0.0, 0.0, 1.0, 1.0]] * 3), tf.constant([1, 2]))
    np.testing.assert_allclose(Digits().prepare(images, whole), images, atol=1e-3)
    part = Draws(tf.constant([[0.2, 0.0, 1.0, 0.8]] * 3), tf.constant([1, 2]))
    assert np.abs(Digits().prepare(images, part) - images).mean() > 5
    assert not Digits.spatial and Digits.kind == "image"


def test_images_may_be_shown_larger(original, rng):
    images = rng.integers(0, 256, (3, 28, 28, 1)).astype("uint8")
    shown = Digits(size=56).prepare(images)
    assert shown.shape == (3, *Digits(size=56).input_shape) == (3, 56, 56, 1)
    samples = read_av_mnist(original)["test"]
    assert decode(samples, {"image": Digits(size=56)}).storage == "memory"


def test_a_folder_that_is_something_else_says_what_was_looked_for(tmp_path):
    with pytest.raises(ValueError) as error:
        read_av_mnist(tmp_path)
    assert str(tmp_path / "mnist.npz") in str(error.value)
    assert str(tmp_path / "recordings") in str(error.value)
    assert f"Received: data_dir={str(tmp_path)!r}" in str(error.value)


X, Y = np.zeros((20, 28, 28), "uint8"), np.arange(20, dtype="uint8") % 10
GOOD = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
WRONG = {
    "no labels": {k: v for k, v in GOOD.items() if k != "y_train"},
    "colours": {**GOOD, "x_train": np.zeros((20, 28, 28, 3), "uint8")},
    "other sizes": {**GOOD, "x_test": np.zeros((20, 32, 32), "uint8")},
    "floats": {**GOOD, "x_train": X.astype("float32")},
    "fewer labels": {**GOOD, "y_test": Y[:-1]},
    "one-hot": {**GOOD, "y_train": np.eye(10)[Y]},
    "letters": {**GOOD, "y_train": np.array(list("0123456789" * 2))},
    "label 10": {**GOOD, "y_train": Y + 1},
    "label -1": {**GOOD, "y_test": Y.astype("int64") - 1},
    "objects": {**GOOD, "y_train": Y.astype(object)},
    "nothing": {**GOOD, "x_test": X[:0], "y_test": Y[:0]},
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_are_no_mnist_are_named(root, case):
    np.savez(root / "mnist.npz", **WRONG[case])
    with pytest.raises(ValueError, match="images uint8.*Received: ") as error:
        read_av_mnist(root)
    assert str(root / "mnist.npz") in str(error.value)


def test_arrays_that_claim_to_be_large_take_no_memory(root):
    file = root / "mnist.npz"
    np.savez(file, **{**GOOD, "x_train": X})
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    head = members["x_train.npy"]
    claimed = head.replace(b"(20, 28, 28)", b"(9999999,28,28)")
    claimed = claimed.replace(b"   \n", b"\n", 1)
    assert len(claimed) == len(head)
    members["x_train.npy"] = claimed
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="mnist.npz"):
            read_av_mnist(root)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_an_archive_of_too_many_bytes_is_not_unpacked(root):
    with zipfile.ZipFile(root / "mnist.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("x_train.npy", "w", force_zip64=True) as member:
            for _ in range(1025):
                member.write(bytes(1 << 20))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="bytes of arrays"):
            read_av_mnist(root)
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "name", ["0_ada.wav", "a_ada_1.wav", "10_ada_1.wav", "x.wav", "\u0663_ada_1.wav"]
)
def test_a_recording_with_another_name_is_named(root, name):
    write_wav(root / "recordings" / name, 1)
    with pytest.raises(ValueError, match="<digit>_<speaker>_<index>.wav") as error:
        read_av_mnist(root)
    assert name in str(error.value)


@pytest.mark.parametrize(("part", "takes"), [("train", (10, 11)), ("test", range(5))])
def test_a_digit_without_a_recording_is_named(root, part, takes):
    for speaker in SPEAKERS:
        for take in takes:
            (root / "recordings" / f"3_{speaker}_{take}.wav").unlink()
    with pytest.raises(ValueError, match=f"{part} recordings of 3") as error:
        read_av_mnist(root)
    assert str(root) in str(error.value)


def test_a_broken_recording_is_named(root):
    file = root / "recordings" / "3_ada_11.wav"
    file.write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="3_ada_11.wav.*Received: "):
        read_av_mnist(root)


@pytest.mark.parametrize("name", ["mnist.npz", "recordings", "recordings/3_ada_1.wav"])
def test_a_link_that_leads_out_is_refused(root, name):
    outside = root.parent / "outside"
    (root / name).rename(outside)
    (root / name).symlink_to(outside)
    with pytest.raises(ValueError, match="symlink leads out"):
        read_av_mnist(root)


def mutated_member(content, rng):
    """The archive again, whole, with a few bytes of one array's header changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    member = members[str(rng.choice(list(members)))]
    text = member[10:128].rstrip()
    for _ in range(rng.integers(1, 3)):
        at = int(rng.integers(128 if rng.random() < 0.3 else 10 + len(text)))
        digits = b"0123456789,()<>|uif"
        member[at] = (
            rng.choice(list(digits)) if rng.random() < 0.7 else rng.integers(256)
        )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in members.items():
            archive.writestr(name, bytes(array))
    return file.getvalue()


@pytest.mark.parametrize("change", [mutate, mutated_member])
def test_mutated_archives_are_read_rightly_or_named(root, change):
    file = root / "mnist.npz"
    content, rng, outcomes = file.read_bytes(), np.random.default_rng(5), Counter()
    for _ in range(150):
        file.write_bytes(change(content, rng))
        try:
            arrays = read_mnist(file)
        except ValueError as error:
            assert str(file) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        for part in ("train", "test"):
            numbers = arrays[f"x_{part}"][:, 0, 0] % 128
            np.testing.assert_array_equal(numbers % 10, arrays[f"y_{part}"])
        outcomes["read"] += 1
    # Of a header every byte counts; of a packed archive a few do not.
    assert outcomes["named"] > 100, outcomes
    assert outcomes["read"] > 0 or change is mutated_member


@needs_real
def test_the_real_digits_are_read():
    splits = read_av_mnist(REAL)
    assert [len(splits[part]) for part in PARTS] == [5000, 1000, 1000]
    for part, count in zip(PARTS, (2400, 300, 300), strict=True):
        paths = splits[part].sources["audio"]["path"]
        assert len(set(paths)) == count
        spoken = [int(path.split("/")[-1][0]) for path in paths]
        np.testing.assert_array_equal(spoken, splits[part].labels)
        assert set(splits[part].sources["audio"]["rate"]) == {8000}
        assert set(splits[part].sources["audio"]["bits"]) == {16}


@needs_real
def test_no_real_image_and_no_real_recording_is_in_two_parts():
    splits = read_av_mnist(REAL)
    archive = np.load(REAL / "mnist.npz")
    labels = {
        image.tobytes(): label
        for part in ("train", "test")
        for image, label in zip(archive[f"x_{part}"], archive[f"y_{part}"], strict=True)
    }
    images = {
        p: [i.tobytes() for i in splits[p].sources["image"]["image"]] for p in PARTS
    }
    for part in PARTS:
        shown = [labels[image] for image in images[part]]
        np.testing.assert_array_equal(shown, splits[part].labels)
    sounds = {p: set(splits[p].sources["audio"]["path"]) for p in PARTS}
    for seen in (sounds, {part: set(each) for part, each in images.items()}):
        assert sum(map(len, seen.values())) == len(set.union(*seen.values()))
    assert sum(map(len, images.values())) == len(labels) == 7000


@needs_real
def test_a_real_recording_is_heard_as_scipy_reads_it():
    samples = read_av_mnist(REAL)["test"].take([0, 500])
    modality = Spectrogram(8000, 0.2, 128, 64)
    decoded = decode(samples, {"audio": modality})
    (batch,) = decoded.batches(2, False).as_numpy_iterator()
    for position in (0, 1):
        expected = scipy.io.wavfile.read(samples.source("audio", position)["path"])[1]
        np.testing.assert_array_equal(batch["audio"][position], expected[:1600])


def test_the_miniature_is_read(tmp_path):
    root = write_av_mnist(tmp_path / "mini", num_samples=60)
    splits = read_av_mnist(root)
    assert [len(splits[part]) for part in PARTS] == [41, 9, 10]
    assert all(set(splits[part].labels) == set(range(10)) for part in ("train", "test"))


@pytest.mark.slow
def test_the_miniature_depends_on_its_seed_alone(tmp_path):
    first, again, other = (
        write_av_mnist(tmp_path / str(n), 60, seed) for n, seed in enumerate((0, 0, 1))
    )
    names = sorted(p.relative_to(first) for p in first.rglob("*.wav"))
    assert names == sorted(p.relative_to(other) for p in other.rglob("*.wav"))
    for name in names[::40]:
        assert (first / name).read_bytes() == (again / name).read_bytes()
        assert (first / name).read_bytes() != (other / name).read_bytes()
    ours, same, others = (np.load(r / "mnist.npz") for r in (first, again, other))
    for name in ours:
        np.testing.assert_array_equal(ours[name], same[name])
    assert (ours["x_train"] != others["x_train"]).any()


def test_too_small_a_miniature_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least 60 samples.*num_samples=59"):
        write_av_mnist(tmp_path / "mini", num_samples=59)
