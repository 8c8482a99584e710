import numpy as np
import tensorflow as tf

from keras_c2kd.data import Crops, Depth, Draws, Rgb
from keras_c2kd.data.rgb import jitter_colours


def test_colours_change_differently_for_each_image_and_within_their_range():
    even = tf.fill((50, 4, 4, 3), 128.0)
    shift = jitter_colours(even, tf.constant([1, 2])).numpy() - 128.0
    assert len(np.unique(shift[:, 0, 0, 0])) == 50
    assert 20.0 < np.abs(shift).max() <= 24.0
    np.testing.assert_allclose(np.ptp(shift, axis=(1, 2, 3)), 0.0, atol=1e-4)


def test_contrast_keeps_the_mean():
    image = tf.random.stateless_uniform((30, 16, 16, 3), (0, 1), 80.0, 160.0)
    changed = jitter_colours(image, tf.constant([5, 6])).numpy()
    ratio = changed.std(axis=(1, 2, 3)) / image.numpy().std(axis=(1, 2, 3))
    assert 0.8 - 1e-3 <= ratio.min() < 0.85 and 1.15 < ratio.max() <= 1.2 + 1e-3
    shift = changed.mean(axis=(1, 2, 3)) - image.numpy().mean(axis=(1, 2, 3))
    assert np.abs(shift).max() <= 24.0 + 1e-3


def test_augmentation_keeps_units_holes_and_shapes(rng):
    depth = np.where(rng.random((6, 16, 16, 1)) < 0.3, 0, 2500).astype("uint16")
    rgb = rng.integers(0, 256, (6, 16, 16, 3)).astype("uint8")
    draws = Draws(Crops().draw(6, (7, 8)), tf.constant([7, 8]))
    colour, metres = Rgb(16).prepare(rgb, draws), Depth(16).prepare(depth, draws)
    assert colour.shape == (6, 16, 16, 3) and colour.dtype == tf.float32
    assert 0.0 <= float(tf.reduce_min(colour)) < float(tf.reduce_max(colour)) <= 255.0
    assert set(np.unique(metres)) == {0.0, 2.5}


def test_larger_images_are_kept_where_crops_need_them():
    modality = Rgb(16, stored_size=20)
    assert modality.spec.shape == (20, 20, 3) and modality.input_shape == (16, 16, 3)
    packed = modality.pack((tf.zeros((30, 40, 3), tf.uint8), (30, 40)))
    assert packed.shape == (20, 20, 3)
    assert modality.prepare(packed[None]).shape == (1, 16, 16, 3)
