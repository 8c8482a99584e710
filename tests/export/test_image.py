"""Preprocessing of images and depth is what `keras_c2kd.data` does, for any size."""

import keras
import numpy as np
import pytest

from keras_c2kd.export import (
    depth_preprocessing,
    image_preprocessing,
    preprocessing_for,
)

pytest.importorskip("tensorflow")
SIZES = [(480, 640), (427, 561), (384, 384), (64, 64), (64, 30), (50, 100), (1, 1)]


def run(model, x):
    return np.asarray(model.predict_on_batch(x))


def trained_on(modality, images):
    """What a model got in training, without augmentation."""
    packed = np.stack([np.asarray(modality.pack(image)) for image in images])
    import tensorflow as tf

    return modality.prepare(tf.constant(packed)).numpy()


def images(rng, shape):
    """Noise, and an even ramp."""
    noise = rng.integers(0, 256, (1, *shape))
    ramp = np.indices(shape).sum(0)[None] % 256
    return np.concatenate([noise, ramp]).astype("uint8")


def assert_like_training(ours, theirs):
    # Of 255. What lies halfway between two levels may become the other one, which is
    # frequent where the ratio of the sizes is simple, as in 64 to 48.
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert np.abs(ours - theirs).max() <= 1 + 1e-3
    assert np.abs(ours[0] - theirs[0]).mean() < 0.1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stored_size", [0, 48])
def test_rgb_is_what_training_saw(rng, size, stored_size):
    from keras_c2kd.data import Rgb

    rgb = Rgb(32, stored_size=stored_size)
    given = images(rng, (*size, 3))
    theirs = trained_on(rgb, [(image, None) for image in given])
    assert_like_training(run(preprocessing_for(rgb), given), theirs)


@pytest.mark.parametrize("size", [(480, 640), (427, 561), (530, 730), (1080, 1920)])
def test_of_photos_nearly_all_pixels_are_equal(rng, size):
    from keras_c2kd.data import Rgb

    photo = rng.integers(0, 256, (1, *size, 3)).astype("uint8")
    theirs = trained_on(Rgb(64), [(photo[0], None)])
    ours = run(preprocessing_for(Rgb(64)), photo)
    assert np.mean(ours != theirs) < 1e-3


def test_averages_just_between_two_levels_are_rounded_alike(rng):
    from keras_c2kd.data import Rgb

    given = (6 * rng.integers(0, 40, (2, 192, 384, 3))).astype("uint8")
    theirs = trained_on(Rgb(32), [(image, None) for image in given])
    np.testing.assert_array_equal(run(image_preprocessing(32), given), theirs)


def test_frames_digits_and_nyu_are_what_training_saw(rng):
    from keras_c2kd.data import Digits, Frames, NyuDepth, NyuRgb

    clip = rng.integers(0, 256, (1, 3, 60, 80, 3)).astype("uint8")
    frames = Frames(32, frames=3)
    assert_like_training(
        run(preprocessing_for(frames), clip), trained_on(frames, [list(clip[0])])
    )
    digit = rng.integers(0, 256, (2, 28, 28, 1)).astype("uint8")
    for size in (28, 32):
        theirs = trained_on(Digits(size), digit)
        ours = run(preprocessing_for(Digits(size)), digit)
        np.testing.assert_allclose(ours, theirs, atol=1e-3)  # of 255
    scene = rng.integers(0, 256, (1, 120, 160, 3)).astype("uint8")
    nyu = NyuRgb(48, 64)
    assert_like_training(run(preprocessing_for(nyu), scene), trained_on(nyu, scene))
    far = rng.integers(0, 20_000, (1, 120, 160, 1)).astype("uint16")
    theirs = trained_on(NyuDepth(48, 64), far)
    ours = run(preprocessing_for(NyuDepth(48, 64)), far.astype("float32") / 1000)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("size", SIZES[:-1])
@pytest.mark.parametrize("stored_size", [0, 48])
def test_depth_is_what_training_saw(rng, size, stored_size):
    from keras_c2kd.data import Depth

    depth = Depth(32, stored_size=stored_size)
    millimetres = rng.integers(0, 9000, (2, *size, 1)).astype("uint16")
    # As in the file, bits rotated.
    theirs = trained_on(depth, (millimetres << 3) | (millimetres >> 13))
    ours = run(preprocessing_for(depth), millimetres.astype("float32") / 1000)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_what_is_no_distance_is_no_reading():
    given = np.array([[np.nan, -1.0], [np.inf, 2.5]], "float32")[None, ..., None]
    ours = run(depth_preprocessing(2), given)
    assert ours.ravel().tolist() == [0.0, 0.0, 8.0, 2.5]


def test_a_given_size_is_asked_for():
    model = image_preprocessing((48, 64), height=480, width=640)
    assert model.input.shape == (None, 480, 640, 3)
    assert model.output.shape == (None, 48, 64, 3)


def test_tokens_need_none_and_others_are_named():
    from keras_c2kd.data import Tokens

    assert preprocessing_for(Tokens(4, ("[PAD]", "[UNK]", "a"))) is None
    with pytest.raises(ValueError, match="Received: str"):
        preprocessing_for("rgb")
    with pytest.raises(ValueError, match="Received: shrink='nearest'"):
        image_preprocessing(32, shrink="nearest")


def test_it_saves_and_loads_with_keras_alone(tmp_path, rng):
    given = images(rng, (40, 50, 3))
    model = image_preprocessing(32, stored_size=48)
    model.save(tmp_path / "preprocessing.keras")
    loaded = keras.models.load_model(tmp_path / "preprocessing.keras")
    np.testing.assert_array_equal(run(loaded, given), run(model, given))
