import numpy as np
import pytest
import tensorflow as tf

from keras_c2kd.data import DecodedPairs, make_batches
from keras_c2kd.data.pipeline import augment_batch, crop, random_boxes


def decoded(n=20, size=8):
    rng = np.random.default_rng(0)
    arrays = {
        "rgb": rng.integers(0, 256, (n, size, size, 3), dtype="uint8"),
        "depth": rng.integers(0, 8001, (n, size, size, 1), dtype="uint16"),
    }
    ids = tuple(map(str, range(n)))
    return DecodedPairs(arrays, np.arange(n, dtype="int32"), ids, ("a", "b"), [])


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


def test_both_modalities_get_the_same_crop_and_flip():
    ramp = np.tile(np.linspace(0.0, 8.0, 16, dtype="float32"), (4, 16, 1))[..., None]
    boxes = random_boxes(tf.constant(4), tf.constant([3, 4]))
    rgb = crop(tf.constant(np.repeat(30.0 * ramp, 3, -1)), boxes, "bilinear").numpy()
    depth = crop(tf.constant(ramp), boxes, "nearest").numpy()
    assert np.abs(rgb[..., 0] / 30.0 - depth[..., 0]).max() <= 8.0 / 15 / 2 + 1e-3
    rising = rgb[:, 0, -1, 0] > rgb[:, 0, 0, 0]
    boxes = boxes.numpy()
    np.testing.assert_array_equal(rising, boxes[:, 3] > boxes[:, 1])
    assert (np.abs(boxes[:, 3] - boxes[:, 1]) >= 0.75 - 1e-6).all()
    assert boxes.min() >= -1e-6 and boxes.max() <= 1 + 1e-6


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


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Received: batch_size=0"):
        make_batches(decoded(), 0, training=False)
