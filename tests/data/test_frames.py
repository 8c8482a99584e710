import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_c2kd.data import Crops, decode, make_batches
from keras_c2kd.data.frames import Frames
from keras_c2kd.data.modality import Draws
from keras_c2kd.data.samples import Samples
from tests.data.clip_files import write_frames
from tests.data.conftest import encoded, jpeg, mutate, packed


def samples_of(paths):
    """Samples with these frames, `(samples, frames)`."""
    ids = tuple(str(number) for number in range(len(paths)))
    labels = np.arange(len(paths), dtype="int32")
    return Samples(ids, {"image": np.array(paths)}, labels, ids)


@pytest.fixture
def clips(tmp_path):
    """Five clips of three frames, grey `20 * clip + 2 * frame`."""
    for number in range(5):
        write_frames(tmp_path / str(number), 2 * number)
    return samples_of(
        [[f"{tmp_path}/{n}/{t:05d}.jpg" for t in range(3)] for n in range(5)]
    )


def first_frames(clips):
    return samples_of(clips.sources["image"][:, :1])


def test_frames_stay_in_order(clips):
    decoded = decode(clips, {"image": Frames(8, frames=3)})
    images = packed(decoded)["image"]
    assert images.shape == (5, 3, 8, 8, 3) and images.dtype == "uint8"
    expected = [[20 * n + 2 * t for t in range(3)] for n in range(5)]
    assert np.abs(images.mean(axis=(2, 3, 4)) - expected).max() < 1


def test_one_frame_is_an_image(clips):
    modality = Frames(8)
    assert modality.kind == "image" and Frames(8, frames=3).kind == "frames"
    assert modality.input_shape == (8, 8, 3)
    images = packed(decode(first_frames(clips), {"image": modality}))["image"]
    assert images.shape == (5, 8, 8, 3)
    assert np.abs(images.mean(axis=(1, 2, 3)) - 20 * np.arange(5)).max() < 1


def test_decoding_agrees_with_pillow(tmp_path):
    waves = np.sin(np.add.outer(np.arange(48) / 9, np.arange(64) / 13))
    pixels = 127 + 120 * waves[..., None] * np.array([1.0, 0.5, -0.7])
    (tmp_path / "a.jpg").write_bytes(jpeg(pixels.astype("uint8")))
    samples = samples_of([[str(tmp_path / "a.jpg")]])
    ours = packed(decode(samples, {"image": Frames(16)}))["image"][0]
    reference = Image.open(tmp_path / "a.jpg").resize((16, 16), Image.BILINEAR)
    assert np.abs(ours.astype(int) - np.asarray(reference).astype(int)).mean() < 2


def test_frames_of_a_clip_may_differ_in_size(clips):
    path = clips.sources["image"][1, 2]
    with open(path, "wb") as file:
        file.write(jpeg(np.full((30, 20, 3), 200, "uint8")))
    images = packed(decode(clips, {"image": Frames(8, frames=3)}))["image"]
    assert np.abs(images[1].mean(axis=(1, 2, 3)) - [20, 22, 200]).max() < 1


@pytest.mark.parametrize("frame", [0, 1, 2])
def test_the_frame_that_is_broken_is_named(clips, frame):
    path = clips.sources["image"][3, frame]
    with open(path, "rb") as file:
        content = file.read()
    with open(path, "wb") as file:
        file.write(content[: len(content) // 2])
    with pytest.raises(ValueError, match="cut short") as error:
        decode(clips, {"image": Frames(8, frames=3)})
    assert path in str(error.value)
    left = decode(clips, {"image": Frames(8, frames=3)}, on_error="skip")
    assert left.ids == ("0", "1", "2", "4") and left.skipped[0][0] == path


def draws(boxes):
    return Draws(tf.constant(boxes, tf.float32), tf.constant([1, 2]))


def test_values_go_in_as_they_are(rng):
    images = rng.integers(0, 256, (2, 3, 8, 8, 3)).astype("uint8")
    out = Frames(8, frames=3).prepare(tf.constant(images)).numpy()
    assert out.dtype == "float32"
    np.testing.assert_array_equal(out, images)
    whole = Frames(8, frames=3).prepare(tf.constant(images), draws([[0, 0, 1, 1]] * 2))
    np.testing.assert_allclose(whole, images, atol=1e-3)


def test_all_frames_of_a_clip_get_the_crop_of_the_clip(rng):
    images = rng.integers(0, 256, (2, 3, 12, 12, 3)).astype("uint8")
    boxes = draws([[0.0, 0.0, 0.5, 0.5], [0.2, 0.9, 0.9, 0.1]])
    clip = Frames(6, frames=3, stored_size=12)
    single = Frames(6, stored_size=12)
    out = clip.prepare(tf.constant(images), boxes).numpy()
    for t in range(3):
        one = single.prepare(tf.constant(images[:, t]), boxes).numpy()
        np.testing.assert_array_equal(out[:, t], one)
    # The second clip is mirrored: its left edge comes from the right.
    flipped = draws([[0.0, 0.0, 0.5, 0.5], [0.2, 0.1, 0.9, 0.9]])
    plain = clip.prepare(tf.constant(images), flipped).numpy()
    np.testing.assert_allclose(out[1], plain[1][:, :, ::-1], atol=1e-3)


@pytest.mark.parametrize("frames", [1, 3])
def test_batches_train_and_evaluate(clips, frames):
    source = clips if frames == 3 else first_frames(clips)
    modality = Frames(8, frames=frames, stored_size=10)
    decoded = decode(source, {"image": modality})
    for training in (True, False):
        data = make_batches(decoded, 4, training, seed=1, crops=Crops(0.5))
        shapes = [tuple(inputs["image"].shape) for inputs, _ in data]
        assert shapes[0] == (4, *modality.input_shape)
        assert data.element_spec[0]["image"].shape[1:] == modality.input_shape
    again = [
        inputs["image"].numpy()
        for _ in range(2)
        for inputs, _ in make_batches(decoded, 5, False)
    ]
    np.testing.assert_array_equal(*again)
    assert np.abs(again[0].reshape(5, -1).mean(axis=1) - 20 * np.arange(5)).max() < 3


def test_a_missing_clip_is_zeros_and_marked(clips):
    paths = clips.sources["image"].copy()
    paths[2] = ""
    samples = Samples(
        clips.ids,
        {"image": paths, "other": clips.sources["image"][:, :1]},
        clips.labels,
        clips.class_names,
    ).complete(keep_incomplete=True)
    modalities = {"image": Frames(8, frames=3), "other": Frames(8)}
    inputs, _ = next(iter(make_batches(decode(samples, modalities), 5, False)))
    assert inputs["present"]["image"].numpy().tolist() == [
        True,
        True,
        False,
        True,
        True,
    ]
    assert (inputs["image"].numpy()[2] == 0).all()
    assert inputs["other"].numpy()[2].mean() > 39


def test_the_cache_gives_the_same(clips, tmp_path):
    modalities = {"image": Frames(8, frames=3)}
    cached = decode(clips, modalities, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(
        packed(cached)["image"], packed(decode(clips, modalities))["image"]
    )


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_jpegs_are_read_or_named(clips, mode):
    path = clips.sources["image"][0, 0]
    with open(path, "wb") as file:
        file.write(encoded(np.full((12, 16, 3), 0, "uint8"), "JPEG", mode))
    try:
        decoded = decode(clips, {"image": Frames(8, frames=3)})
    except ValueError as error:
        assert path in str(error)
    else:
        assert packed(decoded)["image"][0, 0].mean() < 3


def test_mutated_frames_are_read_or_named(clips, tmp_path):
    original, good = clips.sources["image"][1, 1], clips.sources["image"][4]
    with open(original, "rb") as file:
        original = file.read()
    rng, rows = np.random.default_rng(7), []
    for number in range(150):
        path = tmp_path / f"mutant{number}.jpg"
        path.write_bytes(mutate(original, rng))
        rows.append([good[0], str(path), good[2]])
    decoded = decode(samples_of(rows), {"image": Frames(8, frames=3)}, on_error="skip")
    # Each is there or named, in order, and the frames beside it are what they were.
    skipped = {path: reason for path, reason in decoded.skipped}
    assert decoded.ids == tuple(
        str(n) for n, row in enumerate(rows) if row[1] not in skipped
    )
    assert 10 < len(skipped) < 140 and len(skipped) + len(decoded) == 150
    assert all(
        path in reason and "Received: " in reason for path, reason in skipped.items()
    )
    means = packed(decoded)["image"].mean(axis=(2, 3, 4))
    assert np.abs(means[:, [0, 2]] - [80, 84]).max() < 1
