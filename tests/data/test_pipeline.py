import numpy as np
import pytest
import tensorflow as tf

from keras_c2kd.data import Decoded, Depth, Rgb, Samples, make_batches, one_modality
from keras_c2kd.data.store import from_memory


def decoded(n=20, size=8, present=None):
    """Random images; the label of a sample is its position."""
    rng = np.random.default_rng(0)
    arrays = {
        "rgb": rng.integers(0, 256, (n, size, size, 3), dtype="uint8"),
        "depth": rng.integers(0, 8001, (n, size, size, 1), dtype="uint16"),
    }
    ids = tuple(map(str, range(n)))
    labels = np.arange(n, dtype="int32")
    samples = Samples(ids, {}, labels, ("a", "b"), (), present or {})
    modalities = {"rgb": Rgb(size), "depth": Depth(size)}
    return Decoded(samples, modalities, [], "memory", from_memory(arrays, n)), arrays


def epoch(batches):
    inputs, labels = zip(*batches.as_numpy_iterator(), strict=True)
    stacked = {k: np.concatenate([x[k] for x in inputs]) for k in inputs[0]}
    return stacked, np.concatenate(labels)


def test_evaluation_sees_every_sample_once_as_it_is():
    pairs, arrays = decoded()
    inputs, labels = epoch(make_batches(pairs, 8, training=False))
    np.testing.assert_array_equal(labels, np.arange(20))
    np.testing.assert_array_equal(inputs["rgb"], arrays["rgb"])
    np.testing.assert_allclose(inputs["depth"], arrays["depth"] / 1000, rtol=1e-6)
    assert inputs["rgb"].dtype == inputs["depth"].dtype == "float32"
    assert inputs["rgb"].max() == 255.0 and 7.5 < inputs["depth"].max() <= 8.0


def test_training_drops_the_ragged_batch_and_shuffles_each_epoch_anew():
    batches = make_batches(decoded()[0], 8, training=True, augment=False)
    (_, first), (_, second) = epoch(batches), epoch(batches)
    assert len(first) == len(second) == 16 and int(batches.cardinality()) == 2
    assert len(set(first)) == 16 and list(first) != list(second)


def test_colour_depth_and_label_are_shuffled_together():
    pairs, arrays = decoded()
    inputs, labels = epoch(make_batches(pairs, 8, training=True, augment=False))
    np.testing.assert_array_equal(inputs["rgb"], arrays["rgb"][labels])


def test_a_set_smaller_than_a_batch_is_not_dropped():
    batches = make_batches(decoded(n=5)[0], 8, training=True)
    assert len(epoch(batches)[1]) == 5


def test_the_seed_fixes_order_and_augmentation():
    one, two, other = (
        [epoch(b) for _ in range(2)]
        for b in (make_batches(decoded()[0], 8, True, seed=s) for s in (1, 1, 2))
    )
    for (a, labels_a), (b, labels_b) in zip(one, two, strict=True):
        np.testing.assert_array_equal(labels_a, labels_b)
        np.testing.assert_array_equal(a["rgb"], b["rgb"])
        np.testing.assert_array_equal(a["depth"], b["depth"])
    assert list(one[0][1]) != list(other[0][1])


def test_each_epoch_is_augmented_anew_under_the_seed():
    pairs, arrays = decoded(size=32)
    batches = make_batches(pairs, 20, training=True, seed=3)
    epochs = [epoch(batches) for _ in range(2)]
    in_order = [x["depth"][np.argsort(labels)] for x, labels in epochs]
    assert (in_order[0] != in_order[1]).any(axis=(1, 2, 3)).all()
    as_it_is = arrays["depth"] / 1000.0
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
    batches = make_batches(decoded(n)[0], 8, training)
    assert [len(labels) for _, labels in batches.as_numpy_iterator()] == sizes


def test_whole_training_batches_have_one_static_shape():
    inputs, labels = make_batches(decoded()[0], 8, training=True).element_spec
    assert inputs["rgb"].shape == (8, 8, 8, 3) and inputs["depth"].shape == (8, 8, 8, 1)
    assert labels.shape == (8,) and labels.dtype == tf.int32


def test_an_epoch_is_the_same_whatever_was_drawn_before():
    pairs, _ = decoded()
    tf.random.set_seed(1)
    first = epoch(make_batches(pairs, 8, True, seed=2, epoch=7))
    tf.random.set_seed(9)
    epoch(make_batches(pairs, 8, True, seed=2, epoch=6))
    batches = make_batches(pairs, 8, True, seed=2, epoch=7)
    for again in (epoch(batches), epoch(batches)):
        np.testing.assert_array_equal(again[1], first[1])
        np.testing.assert_array_equal(again[0]["rgb"], first[0]["rgb"])


def test_epochs_are_augmented_and_ordered_anew():
    pairs, _ = decoded(n=64)
    orders = {
        tuple(epoch(make_batches(pairs, 8, True, seed=s, epoch=e))[1])
        for s in (0, 1, -1)
        for e in range(4)
    }
    assert len(orders) == 12
    one = make_batches(decoded(n=8)[0], 8, True, seed=0, epoch=0)
    two = make_batches(decoded(n=8)[0], 8, True, seed=0, epoch=1)
    (x, y), (other, y_other) = epoch(one), epoch(two)
    x, other = x["rgb"][np.argsort(y)], other["rgb"][np.argsort(y_other)]
    assert not (x == other).all(axis=(1, 2, 3)).any()


def test_a_start_without_an_epoch_is_refused():
    with pytest.raises(ValueError, match="Expected `epoch`.*Received: .*start=2"):
        make_batches(decoded()[0], 8, training=True, start=2)


@pytest.mark.parametrize("n, batch, replicas", [(20, 8, 2), (20, 8, 8), (3, 4, 2)])
def test_a_batch_that_replicas_share_is_filled_with_what_weighs_nothing(
    n, batch, replicas
):
    pairs, arrays = decoded(n)
    batches = make_batches(pairs, batch, training=False, replicas=replicas)
    assert batches.element_spec[1].shape[0] == batch
    inputs, labels, weights = zip(*batches.as_numpy_iterator(), strict=True)
    labels, weights = np.concatenate(labels), np.concatenate(weights)
    np.testing.assert_array_equal(labels[weights > 0], np.arange(n))
    # The mean of all weighted losses is that of the samples that are there.
    np.testing.assert_allclose(np.mean(weights * labels), np.arange(n).mean())
    rgb = np.concatenate([x["rgb"] for x in inputs])
    np.testing.assert_array_equal(rgb[weights > 0], arrays["rgb"])
    alone = [b[2] for b in one_modality(batches, "rgb").as_numpy_iterator()]
    np.testing.assert_array_equal(np.concatenate(alone), weights)


def test_whole_batches_need_no_weights_for_replicas():
    spec = make_batches(decoded(16)[0], 8, training=False, replicas=4).element_spec
    assert len(spec) == 2
    spec = make_batches(decoded(20)[0], 8, training=True, replicas=4).element_spec
    assert len(spec) == 2


def test_replicas_need_a_batch_that_can_be_split():
    with pytest.raises(ValueError, match="multiple of the 3 devices.*batch_size=8"):
        make_batches(decoded()[0], 8, training=True, replicas=3)


def test_incomplete_samples_shared_by_replicas():
    there = np.arange(5) % 2 == 0
    pairs, _ = decoded(5, present={"rgb": there})
    batches = make_batches(pairs, 4, training=False, replicas=2)
    inputs, labels, weights = zip(*batches.as_numpy_iterator(), strict=True)
    present = np.concatenate([x["present"]["rgb"] for x in inputs])
    assert present.dtype == "int8"
    np.testing.assert_array_equal(present[:5], there)
    alone = one_modality(batches, "rgb").as_numpy_iterator()
    counted = np.concatenate([w for *_, w in alone]) > 0
    np.testing.assert_array_equal(counted, [1, 0, 1, 0, 1, 0, 0, 0])


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_nothing_is_refused(size):
    with pytest.raises(ValueError, match=f"Received: batch_size={size}"):
        make_batches(decoded()[0], size, training=False)


def test_incomplete_samples_say_what_is_there():
    there = np.arange(20) % 3 > 0
    present = {"rgb": np.ones(20, bool), "depth": there}
    batches = make_batches(decoded(present=present)[0], 8, training=True)
    for inputs, labels in batches.as_numpy_iterator():
        np.testing.assert_array_equal(inputs["present"]["depth"], there[labels])
        assert inputs["present"]["rgb"].all()


def test_one_modality_weighs_what_is_there():
    there = np.arange(20) % 3 > 0
    present = {"rgb": np.ones(20, bool), "depth": there}
    pairs, arrays = decoded(present=present)
    batches = make_batches(pairs, 8, training=False)
    for depth, labels, weight in one_modality(batches, "depth").as_numpy_iterator():
        np.testing.assert_array_equal(weight > 0, there[labels])
        assert weight.mean() == pytest.approx(1.0)
        for image, label in zip(depth, labels, strict=True):
            metres = arrays["depth"] / np.float32(1000)
            same = [np.allclose(image, other, rtol=1e-6) for other in metres]
            assert there[label] <= same[label] and there[same.index(True)]
    whole, _ = decoded()
    inputs, labels = next(iter(one_modality(make_batches(whole, 8, False), "rgb")))
    assert inputs.shape == (8, 8, 8, 3) and list(labels) == list(range(8))
