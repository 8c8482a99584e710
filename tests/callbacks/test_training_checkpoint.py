"""A training that was stopped, anywhere, ends as one that was not."""

import random
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_c2kd.callbacks import Position, StudentCheckpoint, TrainingCheckpoint
from keras_c2kd.callbacks.training_state import TrainingState
from tests.helpers import dense_net, distiller, pairs

EPOCHS, STEPS, SIZE = 3, 4, 6


def batches(epoch, start=0):
    """Other samples in every epoch."""
    x, y = pairs(STEPS * SIZE, seed=epoch)
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(SIZE).skip(start)


class Stop(keras.callbacks.Callback):
    """As if the process were killed after so many steps."""

    def __init__(self, steps):
        super().__init__()
        self.steps = steps

    def on_train_batch_end(self, batch, logs=None):
        self.steps -= 1
        if self.steps == 0:
            raise KeyboardInterrupt


def model():
    keras.utils.set_random_seed(0)
    rate = keras.optimizers.schedules.CosineDecay(0.1, EPOCHS * STEPS)
    result = distiller(
        compiled=False,
        teacher=dense_net(4, name="teacher", dropout=0.3),
        student=dense_net(6, name="student", dropout=0.3),
    )
    result.compile(keras.optimizers.Adam(rate), metrics=["accuracy"])
    return result


def train(folder, stop=None, minutes=0):
    """What is left of a training: the model, its best student, its logs."""
    result, logs = model(), {}
    best = StudentCheckpoint(folder / "best.keras", monitor="val_accuracy")
    checkpoint = TrainingCheckpoint(folder / "run", minutes, with_state=[best])
    start = checkpoint.restore(result, batches(99))
    callbacks = [best, checkpoint, *([Stop(stop)] if stop else [])]
    for epoch in range(start.epoch, EPOCHS):
        history = result.fit(
            batches(epoch, start.step if epoch == start.epoch else 0),
            validation_data=batches(99),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=callbacks,
            verbose=0,
        ).history
        logs[epoch] = {name: value for name, (value,) in history.items()}
    return result, best, logs


def numbers(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(v) for v in variables]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return train(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.parametrize("stops", [(2,), (4,), (5,), (9,), (12,), (1, 2, 3)])
def test_a_stopped_training_ends_as_if_it_were_not(tmp_path, undisturbed, stops):
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, stop)
    ours, best, logs = train(tmp_path)
    reference, reference_best, reference_logs = undisturbed
    for one, other in zip(numbers(ours), numbers(reference), strict=True):
        np.testing.assert_array_equal(one, other)
    assert best.get_state() == reference_best.get_state()
    assert all(logs[epoch] == reference_logs[epoch] for epoch in logs)
    assert EPOCHS - 1 in logs


def test_two_are_kept_and_deleted_at_the_end(tmp_path):
    checkpoint = TrainingCheckpoint(tmp_path / "run", minutes=None)
    one = model()
    assert checkpoint.restore(one) == Position(0, 0)
    one.fit(batches(0), epochs=3, callbacks=[checkpoint], verbose=0)
    assert names(tmp_path / "run") == [
        f"epoch00000{e}-step00000000.npz" for e in (2, 3)
    ]
    checkpoint.delete()
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """Two checkpoints, and the weights at each."""
    folder, one, seen = tmp_path_factory.mktemp("kept"), model(), []
    checkpoint = TrainingCheckpoint(folder, minutes=None)
    for epoch in range(2):
        one.fit(
            batches(epoch),
            initial_epoch=epoch,
            epochs=epoch + 1,
            callbacks=[checkpoint],
            verbose=0,
        )
        seen.append(numbers(one))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}, seen


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def lay(folder, files):
    for name, content in files.items():
        (folder / name).write_bytes(content)


def test_no_damage_goes_unnoticed(tmp_path, kept):
    """200 times something is cut off, changed or lost in the newest."""
    files, (before, newest) = kept
    old, new = files
    draw, one = random.Random(0), model()
    checkpoint = TrainingCheckpoint(tmp_path)
    fallen_back = 0
    for case in range(200):
        content = bytearray(files[new])
        position = draw.randrange(len(content))
        if case % 3 == 0:
            content = content[:position]
        elif case % 3 == 1:
            content[position] ^= 1 << draw.randrange(8)
        else:
            content[position : position + 64] = bytes(64)
        lay(tmp_path, {**files, new: bytes(content)})
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            start = checkpoint.restore(one)
        fallen_back += start.epoch == 1
        assert bool(said) == (start.epoch == 1)
        # What no checksum covers, such as the time of day, may change.
        expected = before if said else newest
        for ours, reference in zip(numbers(one), expected, strict=True):
            np.testing.assert_array_equal(ours, reference)
    assert fallen_back > 150


def test_without_a_good_one_the_training_begins_anew(tmp_path, kept):
    lay(tmp_path, dict.fromkeys(kept[0], b"not a checkpoint"))
    with pytest.warns(UserWarning, match="is damaged .*begins anew"):
        assert TrainingCheckpoint(tmp_path).restore(model()) == Position(0, 0)
    assert not names(tmp_path)


def test_a_later_one_that_is_of_no_use_displaces_no_good_one(
    tmp_path, kept, monkeypatch
):
    one, checkpoint = model(), TrainingCheckpoint(tmp_path, minutes=None)
    first, second = sorted(kept[0])
    third, later = (f"epoch000003-step0000000{step}.npz" for step in (0, 2))

    def go_on(content):
        tmp_path.mkdir(exist_ok=True)
        lay(tmp_path, {**kept[0], later: content})
        with pytest.warns(UserWarning, match=f"{later} is damaged"):
            start = checkpoint.restore(one)
        fit = {"initial_epoch": 2, "epochs": 3, "verbose": 0}
        one.fit(batches(2), callbacks=[checkpoint], **fit)
        assert start == Position(2)
        left = names(tmp_path)
        checkpoint.delete()
        return left

    assert go_on(kept[0][second][:-9]) == [second, third]
    read = TrainingState.read

    def unreadable(file):
        if file.name == later:
            raise OSError(5, "Input/output error")
        return read(file)

    monkeypatch.setattr(TrainingState, "read", unreadable)
    # It may be a whole one, behind a network that is not.
    assert go_on(kept[0][second]) == [second, third, later]


def test_what_a_killed_process_was_writing_goes_away(tmp_path, kept):
    half = ".epoch000001-step00000003.npz.writing"
    lay(tmp_path, {**kept[0], half: b"half"})
    checkpoint = TrainingCheckpoint(tmp_path)
    checkpoint.restore(model())
    assert names(tmp_path) == sorted(kept[0])
    lay(tmp_path, {half: b"half"})
    checkpoint.delete()
    assert not tmp_path.exists()


def test_weights_that_are_no_numbers_displace_none_that_are(tmp_path):
    one = model()
    checkpoint = TrainingCheckpoint(tmp_path, minutes=0)
    spoil = keras.callbacks.Callback()

    def on_train_batch_end(batch, logs=None):
        if batch == 2:
            norm = spoil.model.student.get_layer("features")
            norm.bias.assign([np.inf, *np.zeros(15)])

    spoil.on_train_batch_end = on_train_batch_end
    words = "Expected finite weights.*features/bias in epoch 1 after step 3"
    with pytest.warns(UserWarning, match=words):  # and at the end of the epoch
        one.fit(batches(0), callbacks=[spoil, checkpoint], verbose=0)
    assert names(tmp_path) == [f"epoch000000-step0000000{step}.npz" for step in (1, 2)]


def test_a_checkpoint_of_another_model_is_refused(tmp_path, kept):
    lay(tmp_path, kept[0])
    other = distiller(student=dense_net(6, hidden=7, name="student"))
    with pytest.raises(ValueError, match="made and compiled as this one.*Received: "):
        TrainingCheckpoint(tmp_path).restore(other)
    with pytest.raises(ValueError, match="`with_state` as in .*Received: 1"):
        best = StudentCheckpoint("best.keras")
        TrainingCheckpoint(tmp_path, with_state=[best]).restore(model())


def test_what_cannot_be_written_leaves_those_before(tmp_path, kept, monkeypatch):
    lay(tmp_path, kept[0])
    one, checkpoint = model(), TrainingCheckpoint(tmp_path)
    start = checkpoint.restore(one)

    def full(file, **arrays):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    def torn(file, **arrays):
        file.write(b"looks as if it were written")

    for savez in (full, torn):
        monkeypatch.setattr(np, "savez", savez)
        with pytest.raises(OSError, match="one before is unharmed.*Received: "):
            one.fit(
                batches(2),
                initial_epoch=start.epoch,
                epochs=start.epoch + 1,
                callbacks=[checkpoint],
                verbose=0,
            )
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == kept[0]


def test_going_on_within_an_epoch_needs_a_batch(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, stop=2)
    checkpoint = TrainingCheckpoint(
        tmp_path / "run", with_state=[StudentCheckpoint("a.keras")]
    )
    with pytest.raises(ValueError, match="Expected `data`.*data=None"):
        checkpoint.restore(model())


def test_bfloat16_comes_back_to_the_bit(tmp_path):
    def one():
        keras.utils.set_random_seed(1)
        layer = keras.layers.Dense(3, dtype="bfloat16")
        result = keras.Sequential([keras.Input((4,)), layer])
        result.compile("sgd", "mse")
        return result

    first, second = one(), one()
    x, y = np.ones((8, 4), "float32"), np.ones((8, 3), "float32")
    checkpoint = TrainingCheckpoint(tmp_path)
    first.fit(x, y, callbacks=[checkpoint], verbose=0)
    assert checkpoint.restore(second) == Position(1, 0)
    for ours, reference in zip(second.weights, first.weights, strict=True):
        as_float = keras.ops.cast(ours, "float32"), keras.ops.cast(reference, "float32")
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, as_float))


@pytest.mark.parametrize("options", [{"minutes": -1}, {"epochs": 0}])
def test_wrong_intervals_are_refused(tmp_path, options):
    with pytest.raises(ValueError, match="Received: minutes="):
        TrainingCheckpoint(tmp_path, **options)
