import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data import IMAGENET_CROPS, Crops, Depth, Draws, Rgb
from keras_c2kd.data.geometry import crop


@given(st.integers(-(2**31), 2**31 - 1), st.integers(-(2**31), 2**31 - 1))
def test_depth_that_follows_from_colour_does_so_after_the_crop(one, two):
    ramp = np.linspace(0.0, 240.0, 16)
    red, green = np.meshgrid(ramp, ramp)
    rgb = np.stack([red, green, 0 * red], axis=-1)[None].repeat(2, axis=0)
    depth = (rgb[..., :1] + rgb[..., 1:2]) / 60.0
    draws = Draws(Crops().draw(2, (one, two)), tf.constant([0, 0]))
    colour = Rgb(16, jitter=False).prepare(tf.cast(rgb, tf.uint8), draws)
    metres = Depth(16).prepare(tf.cast(1000 * depth, tf.uint16), draws)
    followed = (colour[..., :1] + colour[..., 1:2]) / 60.0
    # Colour is interpolated, depth is not: half a pixel (16 of 240) in each direction.
    assert float(tf.reduce_max(tf.abs(followed - metres))) <= 16 / 60 + 1e-3


def test_both_modalities_get_the_same_crop_and_flip():
    ramp = np.tile(np.linspace(0.0, 8.0, 16, dtype="float32"), (4, 16, 1))[..., None]
    boxes = Crops().draw(tf.constant(4), tf.constant([3, 4]))
    colour = crop(tf.constant(ramp), boxes, (16, 16), "bilinear").numpy()
    depth = crop(tf.constant(ramp), boxes, (16, 16), "nearest").numpy()
    assert np.abs(colour - depth).max() <= 8.0 / 15 / 2 + 1e-3
    rising = colour[:, 0, -1, 0] > colour[:, 0, 0, 0]
    np.testing.assert_array_equal(rising, boxes[:, 3] > boxes[:, 1])
    assert len(set(rising)) == 2  # both kinds are among them


def test_half_of_the_crops_are_mirrored_and_all_of_them_square():
    boxes = Crops().draw(2000, (1, 2)).numpy()
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    np.testing.assert_allclose(np.abs(width), height, atol=1e-6)
    assert 0.45 < (width < 0).mean() < 0.55
    assert 0.75 <= height.min() < 0.76 and 0.99 < height.max() <= 1.0 + 1e-6
    assert boxes.min() >= -1e-6 and boxes.max() <= 1 + 1e-6


def test_imagenet_crops_have_the_areas_and_ratios_of_inception():
    boxes = IMAGENET_CROPS.draw(5000, (1, 2)).numpy()
    height, width = boxes[:, 2] - boxes[:, 0], np.abs(boxes[:, 3] - boxes[:, 1])
    area, ratio = height * width, width / height
    whole = (height > 0.999) | (width > 0.999)  # cut at the border of the image
    assert 0.08 - 1e-4 <= area.min() < 0.1 and area.max() > 0.95
    assert 0.75 - 1e-4 <= ratio.min() < 0.76 and 1.31 < ratio.max() <= 4 / 3 + 1e-3
    inner = area[~whole & (area < 0.5)]  # uniform in area
    assert abs(np.mean(inner) - (0.08 + 0.5) / 2) < 0.01
    assert boxes.min() >= -1e-6 and boxes.max() <= 1 + 1e-6


def test_the_whole_image_is_a_crop_that_changes_nothing(rng):
    images = rng.random((2, 8, 8, 3)).astype("float32")
    whole = tf.constant([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
    cropped = crop(tf.constant(images), whole, (8, 8), "bilinear").numpy()
    np.testing.assert_allclose(cropped[0], images[0], atol=1e-6)
    np.testing.assert_allclose(cropped[1], images[1, :, ::-1], atol=1e-6)
    as_it_is = crop(tf.constant(images), None, (8, 8), "bilinear").numpy()
    np.testing.assert_array_equal(as_it_is, images)
    smaller = crop(tf.constant(images), None, (4, 4), "bilinear")
    assert smaller.shape == (2, 4, 4, 3)


def test_no_mirror_means_none():
    boxes = Crops(mirror=0.0).draw(500, (1, 2)).numpy()
    assert (boxes[:, 3] > boxes[:, 1]).all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_any_numeric_dtype_is_cropped(dtype):
    images = tf.cast(tf.fill((2, 8, 8, 1), 200), dtype)
    cropped = crop(images, Crops().draw(2, (0, 0)), (4, 4), "nearest")
    assert cropped.dtype == tf.float32 and float(tf.reduce_min(cropped)) == 200.0
