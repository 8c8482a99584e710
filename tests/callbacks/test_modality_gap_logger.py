"""The gap in the logs of a fit, which goes on as if nobody had looked."""

import csv

import keras
import numpy as np
import pytest

from keras_c2kd import CrossModalDistiller
from keras_c2kd.callbacks import ModalityGapLogger
from keras_c2kd.diagnostics import measure_modality_gap
from keras_c2kd.losses import KD
from tests.helpers import Pairs, dense_net, distiller, pairs, weights_of

NAMES = {"teacher_modality": "depth", "student_modality": "rgb"}
FIGURES = ["accuracy", "agreement", "krc", "krc_above_zero", "only_teacher_right"]
FIGURES = sorted(f"gap_{name}" for name in [*FIGURES, "target_probability"])
X, Y = pairs()


def nets(**kwargs):
    return dense_net(4, dropout=0.3, **kwargs), dense_net(6, dropout=0.3, **kwargs)


def c2kd():
    return distiller(True, *nets())


def cross_modal():
    teacher, student = nets()
    teacher.trainable = False
    model = CrossModalDistiller(teacher, student, **NAMES, distillation_losses=[KD()])
    model.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    return model


def quick():
    """Nothing to compile, where it is not the training that is tested."""
    model = CrossModalDistiller(dense_net(4), dense_net(6), **NAMES)
    model.compile(keras.optimizers.SGD(0.05), run_eagerly=True)
    return model


def mixed():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        return distiller(True, *nets())
    finally:
        keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("make", [c2kd, cross_modal, mixed])
def test_training_is_the_same_with_it_and_without(make):
    found = []
    for callbacks in ([], [ModalityGapLogger((X, Y), batch_size=5)]):
        keras.utils.set_random_seed(3)
        model = make()
        fit = {"batch_size": 8, "epochs": 2, "verbose": 0}
        history = model.fit(X, Y, callbacks=callbacks, **fit).history
        state = [keras.ops.convert_to_numpy(v) for v in model.optimizer.variables]
        found.append((history, [*weights_of(model), *state]))
    (plain, weights), (logged, same_weights) = found
    assert sorted(logged.keys() - plain.keys()) == FIGURES
    assert {name: logged[name] for name in plain} == plain
    for a, b in zip(weights, same_weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("data", [(X, Y), (X, Y, np.ones(24)), Pairs(X, Y), [(X, Y)]])
def test_the_logs_hold_the_gap_at_the_end_of_the_epoch(data):
    model = quick()
    callback = ModalityGapLogger(data)
    history = model.fit(
        X, Y, validation_data=(X, Y), epochs=2, callbacks=[callback], verbose=0
    ).history
    gap = measure_modality_gap(model.teacher, model.student, X, Y, **NAMES)
    for name, value in gap.headline().items():
        assert history[f"gap_{name}"][-1] == pytest.approx(value, rel=1e-5, abs=1e-6)
        assert len(history[f"gap_{name}"]) == 2
    assert callback.gap.headline() == pytest.approx(gap.headline(), rel=1e-5, abs=1e-6)
    assert history["gap_target_probability"][0] != history["gap_target_probability"][1]


@pytest.mark.parametrize(
    ("every", "epochs", "initial", "expected"),
    [
        (1, 3, 0, [0, 1, 2]),
        (2, 6, 0, [0, 2, 4, 5]),
        (10, 4, 0, [0, 3]),
        (3, 9, 4, [4, 6, 8]),
    ],
)
def test_which_epochs_are_measured(every, epochs, initial, expected):
    measured = []
    look = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: "gap_krc" in logs and measured.append(epoch)
    )
    callback = ModalityGapLogger((X, Y), every=every)
    model = quick()
    fit = {"epochs": epochs, "initial_epoch": initial, "verbose": 0}
    for _ in range(2):  # a second fit starts anew
        measured.clear()
        model.fit(X, Y, callbacks=[callback, look], **fit)
        assert measured == expected


def test_csv_logger_has_its_columns(tmp_path):
    path = tmp_path / "log.csv"
    callbacks = [ModalityGapLogger((X, Y), every=2), keras.callbacks.CSVLogger(path)]
    history = quick().fit(X, Y, epochs=4, callbacks=callbacks, verbose=0).history
    rows = list(csv.DictReader(path.open()))
    assert set(FIGURES) <= rows[0].keys()
    assert [row["gap_krc"] == "NA" for row in rows] == [False, True, False, False]
    found = [float(row["gap_krc"]) for row in rows if row["gap_krc"] != "NA"]
    assert found == history["gap_krc"]


def test_tensorboard_has_its_scalars(tmp_path):
    tf = pytest.importorskip("tensorflow")
    callbacks = [ModalityGapLogger((X, Y)), keras.callbacks.TensorBoard(tmp_path)]
    history = quick().fit(X, Y, epochs=2, callbacks=callbacks, verbose=0).history
    found = {}
    for path in tmp_path.glob("train/*"):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                if value.tag.startswith("epoch_gap_"):
                    scalar = float(tf.make_ndarray(value.tensor))
                    found.setdefault(value.tag, {})[event.step] = scalar
    assert sorted(found) == [f"epoch_{name}" for name in FIGURES]
    for tag, values in found.items():
        expected = dict(enumerate(history[tag.removeprefix("epoch_")]))
        assert values == pytest.approx(expected, rel=1e-6)


def test_early_stopping_follows_it():
    # KRC cannot rise by 3, so that the second epoch is one without an improvement.
    stop = keras.callbacks.EarlyStopping("gap_krc", mode="max", min_delta=3)
    callbacks = [ModalityGapLogger((X, Y)), stop]
    history = quick().fit(X, Y, epochs=5, callbacks=callbacks, verbose=0).history
    assert len(history["loss"]) == 2


def test_what_the_loss_ignores_is_left_out():
    model = quick()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=0)
    model.compile(keras.optimizers.SGD(0.05), loss=loss, run_eagerly=True)
    callback = ModalityGapLogger((X, Y))
    model.fit(X, Y, callbacks=[callback], verbose=0)
    assert callback.gap.samples == np.sum(Y != 0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"every": 0}, "positive integer. Received: every=0"),
        ({"every": 1.5}, "positive integer. Received: every=1.5"),
        ({"data": iter([(X, Y)])}, "used up by one reading"),
        ({"data": X}, "Expected labels beside the inputs"),
        ({"data": (X, Y[:3])}, "Received: lengths 24, 3"),
        ({"batch_size": 0}, "Received: batch_size=0"),
    ],
)
def test_what_cannot_work_is_refused_before_training(arguments, words):
    with pytest.raises(ValueError, match=words):
        ModalityGapLogger(**{"data": (X, Y), **arguments})


def test_a_dataset_without_end_is_refused_before_training():
    data = pytest.importorskip("tensorflow").data
    dataset = data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()
    with pytest.raises(ValueError, match="a dataset that ends"):
        ModalityGapLogger(dataset)


def of_keras():
    loss = keras.distillation.LogitsDistillation(loss=keras.losses.KLDivergence())
    model = keras.distillation.Distiller(dense_net(6), dense_net(6), loss)
    model.compile("sgd", "mse")
    return model


def plain():
    model = dense_net(6)
    model.compile("sgd", "mse")
    return model


@pytest.mark.parametrize("make", [plain, of_keras])
def test_a_model_without_two_modalities_is_refused(make):
    model = make()
    name = type(model).__name__
    with pytest.raises(ValueError, match=f"CrossModalDistiller.*type {name}"):
        one_hot = np.eye(3)[Y]
        model.fit(X["rgb"], one_hot, callbacks=[ModalityGapLogger((X, Y))], verbose=0)
