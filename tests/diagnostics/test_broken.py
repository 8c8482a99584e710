import keras
import numpy as np
import pytest

from keras_c2kd.diagnostics import find_broken
from tests.helpers import conv_net, dense_net, pairs


def trained():
    x, y = pairs(96)
    model = dense_net(4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(x["depth"], y, epochs=30, verbose=0)
    return model, x, y


def test_a_teacher_that_learned_is_not_broken():
    model, x, y = trained()
    assert find_broken(model, x, y, modality="depth") == []


def test_a_teacher_near_chance():
    model, x, y = trained()
    wrong = (y + 1) % 3
    [found] = find_broken(model, x, wrong, modality="depth")
    assert "the teacher is right in" in found and "would be in 33.3%" in found


def test_chance_is_the_largest_class():
    model, x, y = trained()
    often = np.where(np.arange(96) % 8 < 7, 0, y)  # class 0 mostly, at random
    [found] = find_broken(model, x, often, modality="depth", role="student")
    assert found.startswith("the student is right in")


def test_constant_logits_and_constant_answers():
    model, x, y = trained()
    kernel = model.layers[-1].kernel
    model.layers[-1].bias.assign([0.0, 1e3, 0.0])
    assert find_broken(model, x, y, modality="depth") == [
        "the teacher says class 1 of all 96 samples"
    ]
    kernel.assign(np.zeros(kernel.shape))
    assert find_broken(model, x, y, modality="depth") == [
        "the teacher gives every input the same logits"
    ]


def test_batch_norm_as_it_was_made():
    model = conv_net(1, nested=True)
    rng = np.random.default_rng(0)
    x = {"depth": rng.normal(size=(12, 8, 8, 1))}
    y = np.arange(12, dtype="int32") % 3
    found = find_broken(model, x, y, modality="depth")
    assert "never updated, in 1 of 1 layers (batch_norm" in found[0]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x["depth"], y, verbose=0)
    assert "BatchNorm" not in " ".join(find_broken(model, x, y, modality="depth"))


def test_logits_that_are_no_numbers_are_an_error():
    model, x, y = trained()
    model.layers[-1].bias.assign([np.nan] * 3)
    with pytest.raises(ValueError, match="finite"):
        find_broken(model, x, y, modality="depth")


def test_only_the_first_batches_are_read():
    model, x, y = trained()
    seen = []

    def batches():
        for start in range(0, 96, 8):
            seen.append(start)
            rows = slice(start, start + 8)
            yield {"depth": x["depth"][rows]}, y[rows]

    find_broken(model, batches(), modality="depth", most_batches=2)
    assert seen == [0, 8]
