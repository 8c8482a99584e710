import contextlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data import DecodedPairs, make_batches, pipeline
from keras_c2kd.data.pipeline import (
    augment_batch,
    crop,
    jitter_colours,
    random_boxes,
)


def decoded(n=20, size=8):
    rng = np.random.default_rng(0)
    arrays = {
        "rgb": rng.integers(0, 256, (n, size, size, 3), dtype="uint8"),
        "depth": rng.integers(0, 8001, (n, size, size, 1), dtype="uint16"),
    }
    ids = tuple(map(str, range(n)))
    return DecodedPairs(arrays, np.arange(n, dtype="int32"), ids, ("a", "b"), [])


@contextlib.contextmanager
def patched_jitter():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "jitter_colours", lambda rgb, seed: rgb)
        yield


def epoch(batches):
    inputs, labels = zip(*batches.as_numpy_iterator(), strict=True)
    stacked = {k: np.concatenate([x[k] for x in inputs]) for k in inputs[0]}
    return stacked, np.concatenate(labels)


def test_evaluation_sees_every_sample_once_as_it_is():
    pairs = decoded()
    inputs, labels = epoch(make_batches(pairs, 8, training=False))
    np.testing.assert_array_equal(labels, np.arange(20))
    np.testing.assert_array_equal(inputs["rgb"], pairs.arrays["rgb"])
    np.testing.assert_allclose(inputs["depth"], pairs.arrays["depth"] / 1000, rtol=1e-6)
    assert inputs["rgb"].dtype == inputs["depth"].dtype == "float32"
    assert inputs["rgb"].max() == 255.0 and 7.5 < inputs["depth"].max() <= 8.0


def test_training_drops_the_ragged_batch_and_shuffles_each_epoch_anew():
    batches = make_batches(decoded(), 8, training=True, augment=False)
    (_, first), (_, second) = epoch(batches), epoch(batches)
    assert len(first) == len(second) == 16 and int(batches.cardinality()) == 2
    assert len(set(first)) == 16 and list(first) != list(second)


def test_colour_depth_and_label_are_shuffled_together():
    pairs = decoded()
    inputs, labels = epoch(make_batches(pairs, 8, training=True, augment=False))
    np.testing.assert_array_equal(inputs["rgb"], pairs.arrays["rgb"][labels])


def test_a_set_smaller_than_a_batch_is_not_dropped():
    batches = make_batches(decoded(n=5), 8, training=True)
    assert len(epoch(batches)[1]) == 5


def test_the_seed_fixes_order_and_augmentation():
    one, two, other = (
        [epoch(b) for _ in range(2)]
        for b in (make_batches(decoded(), 8, True, seed=s) for s in (1, 1, 2))
    )
    for (a, labels_a), (b, labels_b) in zip(one, two, strict=True):
        np.testing.assert_array_equal(labels_a, labels_b)
        np.testing.assert_array_equal(a["rgb"], b["rgb"])
        np.testing.assert_array_equal(a["depth"], b["depth"])
    assert list(one[0][1]) != list(other[0][1])


def test_each_epoch_is_augmented_anew_under_the_seed():
    pairs = decoded(size=32)
    batches = make_batches(pairs, 20, training=True, seed=3)
    epochs = [epoch(batches) for _ in range(2)]
    in_order = [x["depth"][np.argsort(labels)] for x, labels in epochs]
    assert (in_order[0] != in_order[1]).any(axis=(1, 2, 3)).all()
    as_it_is = pairs.arrays["depth"] / 1000.0
    assert (np.abs(in_order[0] - as_it_is) > 1e-3).any(axis=(1, 2, 3)).mean() > 0.9


@pytest.mark.parametrize(
    ("n", "training", "sizes"),
    [
        (20, True, [8, 8]),
        (16, True, [8, 8]),
        (8, True, [8]),
        (7, True, [7]),
        (20, False, [8, 8, 4]),
        (7, False, [7]),
    ],
)
def test_only_a_ragged_training_batch_is_dropped(n, training, sizes):
    batches = make_batches(decoded(n), 8, training)
    assert [len(labels) for _, labels in batches.as_numpy_iterator()] == sizes


def test_whole_training_batches_have_one_static_shape():
    inputs, labels = make_batches(decoded(), 8, training=True).element_spec
    assert inputs["rgb"].shape == (8, 8, 8, 3) and inputs["depth"].shape == (8, 8, 8, 1)
    assert labels.shape == (8,) and labels.dtype == tf.int32


@given(st.integers(-(2**62), 2**62), st.integers(-(2**62), 2**62))
def test_depth_that_follows_from_colour_does_so_after_the_crop(one, two):
    ramp = np.linspace(0.0, 240.0, 16, dtype="float32")
    red, green = np.meshgrid(ramp, ramp)
    rgb = np.stack([red, green, 0 * red], axis=-1)[None].repeat(2, axis=0)
    depth = (rgb[..., :1] + rgb[..., 1:2]) / 60.0
    numbers = tf.constant([one, two], tf.int64)
    with patched_jitter():
        outputs = augment_batch({"rgb": rgb, "depth": depth}, numbers)
    followed = (outputs["rgb"][..., :1] + outputs["rgb"][..., 1:2]) / 60.0
    # Colour is interpolated, depth is not: half a pixel (16 of 240) in each direction.
    assert float(tf.reduce_max(tf.abs(followed - outputs["depth"]))) <= 16 / 60 + 1e-3


def test_both_modalities_get_the_same_crop_and_flip():
    ramp = np.tile(np.linspace(0.0, 8.0, 16, dtype="float32"), (4, 16, 1))[..., None]
    boxes = random_boxes(tf.constant(4), tf.constant([3, 4]))
    rgb = crop(tf.constant(np.repeat(30.0 * ramp, 3, -1)), boxes, "bilinear").numpy()
    depth = crop(tf.constant(ramp), boxes, "nearest").numpy()
    assert np.abs(rgb[..., 0] / 30.0 - depth[..., 0]).max() <= 8.0 / 15 / 2 + 1e-3
    rising = rgb[:, 0, -1, 0] > rgb[:, 0, 0, 0]
    boxes = boxes.numpy()
    np.testing.assert_array_equal(rising, boxes[:, 3] > boxes[:, 1])
    assert len(set(rising)) == 2  # both kinds are among them
    assert (np.abs(boxes[:, 3] - boxes[:, 1]) >= 0.75 - 1e-6).all()
    assert boxes.min() >= -1e-6 and boxes.max() <= 1 + 1e-6


def test_half_of_the_crops_are_mirrored_and_all_of_them_square():
    boxes = random_boxes(tf.constant(2000), tf.constant([1, 2])).numpy()
    height, width = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    np.testing.assert_allclose(np.abs(width), height, atol=1e-6)
    assert 0.45 < (width < 0).mean() < 0.55
    assert 0.75 <= height.min() < 0.76 and 0.99 < height.max() <= 1.0 + 1e-6


def test_the_whole_image_is_a_crop_that_changes_nothing(rng):
    images = rng.random((2, 8, 8, 3)).astype("float32")
    whole = tf.constant([[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]])
    cropped = crop(tf.constant(images), whole, "bilinear").numpy()
    np.testing.assert_allclose(cropped[0], images[0], atol=1e-6)
    np.testing.assert_allclose(cropped[1], images[1, :, ::-1], atol=1e-6)


def test_colours_change_differently_for_each_image_and_within_their_range():
    even = tf.fill((50, 4, 4, 3), 128.0)
    shift = jitter_colours(even, tf.constant([1, 2])).numpy() - 128.0
    assert len(np.unique(shift[:, 0, 0, 0])) == 50
    assert 20.0 < np.abs(shift).max() <= 24.0
    np.testing.assert_allclose(np.ptp(shift, axis=(1, 2, 3)), 0.0, atol=1e-4)


def test_augmentation_keeps_units_holes_and_shapes():
    depth = np.where(np.random.default_rng(0).random((6, 16, 16, 1)) < 0.3, 0.0, 2.5)
    inputs = {
        "rgb": tf.random.stateless_uniform((6, 16, 16, 3), (0, 1), 0.0, 255.0),
        "depth": tf.constant(depth, tf.float32),
    }
    outputs = augment_batch(inputs, tf.constant([7, 8], tf.int64))
    assert outputs["rgb"].shape == (6, 16, 16, 3)
    assert 0.0 <= float(tf.reduce_min(outputs["rgb"]))
    assert float(tf.reduce_max(outputs["rgb"])) <= 255.0
    assert set(np.unique(outputs["depth"])) == {0.0, 2.5}


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_nothing_is_refused(size):
    with pytest.raises(ValueError, match=f"Received: batch_size={size}"):
        make_batches(decoded(), size, training=False)
