"""The batches of a contest, paired and not."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from contest import fairness


class Numbers:
    """Data whose samples are their own numbers, of both modalities."""

    def train(self, seed, epoch, start=0):
        order = np.random.default_rng([seed, epoch]).permutation(48)
        there = {"depth": order < 40}  # of the others depth is missing
        inputs = {"depth": order, "rgb": order, "present": there}
        return tf.data.Dataset.from_tensor_slices((inputs, order)).batch(8).skip(start)


@pytest.fixture
def numbers(monkeypatch):
    """`numbers(paired)` has two epochs of batches, and their digest, of `Numbers`."""
    flags = SimpleNamespace(teacher="depth", student="rgb")
    monkeypatch.setattr(fairness, "FLAGS", flags)

    def read(paired, start=0):
        training = fairness.Witnessed(SimpleNamespace(task=None), Numbers(), None)
        training.initial, training.paired = "", paired
        epochs = [training.batches(7, epoch, start) for epoch in (0, 1)]
        return [list(e.as_numpy_iterator()) for e in epochs], training.noted()

    return read


def test_unpaired_the_teacher_sees_other_samples_and_the_student_the_same(numbers):
    (paired, digest), (unpaired, its_digest) = map(numbers, (True, False))
    assert digest == its_digest
    of_teacher = []
    for (x, y), (its_x, its_y) in zip(sum(paired, []), sum(unpaired, []), strict=True):
        np.testing.assert_array_equal(y, its_y)
        np.testing.assert_array_equal(x["rgb"], its_x["rgb"])
        assert set(its_x["depth"]) != set(its_x["rgb"])  # not shuffled within a batch
        there = its_x["present"]["depth"]
        np.testing.assert_array_equal(there, its_x["depth"] < 40)
        of_teacher.append(its_x["depth"])
    first, second = np.concatenate(of_teacher).reshape(2, 48)
    assert sorted(first) == sorted(second) == list(range(48))
    assert not np.array_equal(first, second)


def test_unpaired_batches_are_gone_on_with(numbers):
    whole, _ = numbers(False)
    rest, _ = numbers(False, start=4)
    for all_of, some in zip(whole, rest, strict=True):
        keras.tree.map_structure(np.testing.assert_array_equal, all_of[4:], some)
