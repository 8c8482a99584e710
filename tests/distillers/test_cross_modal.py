"""What every distiller does, shown on C2KD: inputs, loops, metrics, precision."""

import shutil

import keras
import numpy as np
import pytest
from keras import ops

from keras_c2kd import C2KD, CrossModalDistiller
from tests.helpers import Pairs, assert_same, dense_net, distiller, pairs, weights_of

BACKEND = keras.config.backend()
SHOWN = ["loss", "krc", "selected", "accuracy", "teacher_accuracy"]


def as_dataset(kind, x, y):
    """`fit` arguments for the same three batches of eight."""
    if kind == "dict":
        return {"x": x, "y": y, "batch_size": 8, "shuffle": False}
    if kind == "tuple":
        return {"x": (x["depth"], x["rgb"]), "y": y, "batch_size": 8, "shuffle": False}
    if kind == "pydataset":
        return {"x": Pairs(x, y), "shuffle": False}
    if kind == "generator":
        batches = Pairs(x, y)
        return {"x": (batches[i] for i in range(3)), "steps_per_epoch": 3}
    tf = pytest.importorskip("tensorflow")
    return {"x": tf.data.Dataset.from_tensor_slices((x, y)).batch(8)}


@pytest.mark.parametrize("kind", ["dict", "tuple", "pydataset", "generator", "tf.data"])
def test_every_kind_of_input_trains_alike(kind):
    x, y = pairs()
    reference = distiller()
    start = weights_of(reference)
    reference.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    model = distiller()
    model.set_weights(start)
    history = model.fit(**as_dataset(kind, x, y), verbose=0).history
    assert set(SHOWN) | set(C2KD.term_names) == set(history)
    assert_same(weights_of(model), weights_of(reference), rtol=1e-5, atol=1e-7)


def test_it_learns_and_the_student_needs_its_modality_alone():
    x, y = pairs(n=96)
    model = distiller()
    first = model.evaluate(x, y, return_dict=True, verbose=0)
    model.fit(x, y, epochs=20, verbose=0)
    last = model.evaluate(x, y, return_dict=True, verbose=0)
    assert last["accuracy"] > 0.9 and last["teacher_accuracy"] > 0.9
    assert last["loss"] < first["loss"]
    logits = model.predict(x["rgb"], verbose=0)
    assert logits.shape == (96, 3)
    for inputs in (x, {"rgb": x["rgb"]}, (x["depth"], x["rgb"])):
        np.testing.assert_allclose(model.predict(inputs, verbose=0), logits, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(model(x["rgb"])), logits, atol=1e-5)
    np.testing.assert_allclose(
        model.student.predict(x["rgb"], verbose=0), logits, atol=1e-5
    )


def test_evaluate_on_the_student_alone_reports_the_student_alone():
    x, y = pairs()
    model = distiller()
    model.fit(x, y, verbose=0)
    alone = model.evaluate(x["rgb"], y, return_dict=True, verbose=0)
    assert set(alone) == {"loss", "accuracy"}
    paired = model.evaluate(x, y, return_dict=True, verbose=0)
    assert alone["accuracy"] == paired["accuracy"] and alone["loss"] < paired["loss"]


def test_evaluating_the_student_first_does_not_disturb_training():
    x, y = pairs()
    model = distiller()
    model.evaluate(x["rgb"], y, verbose=0)
    assert "teacher_accuracy" in model.fit(x, y, verbose=0).history


def test_evaluate_and_predict_change_no_state():
    x, y = pairs()
    model = distiller(teacher=dense_net(4, dropout=0.5))
    model.fit(x, y, verbose=0)
    before = [*weights_of(model), *map(np.array, model.optimizer.variables)]
    model.evaluate(x, y, verbose=0)
    model.predict(x, verbose=0)
    after = [*weights_of(model), *map(np.array, model.optimizer.variables)]
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)


def test_sample_weight_zero_is_a_sample_that_teaches_nothing():
    x, y = pairs()
    frozen = {"teacher_proxy": Linear(3), "student_proxy": Linear(3)}
    model = distiller(**frozen)
    start = weights_of(model)
    weight = (np.arange(len(y)) < 12).astype("float32")
    model.fit(x, y, sample_weight=weight, batch_size=24, shuffle=False, verbose=0)
    half = distiller(teacher_proxy=Linear(3), student_proxy=Linear(3))
    half.set_weights(start)
    # Half the batch, each sample of which counts half: the denominator is the batch.
    half.fit(
        {k: v[:12] for k, v in x.items()},
        y[:12],
        sample_weight=np.full(12, 0.5, "float32"),
        batch_size=12,
        shuffle=False,
        verbose=0,
    )
    assert_same(weights_of(model), weights_of(half), rtol=1e-5, atol=1e-7)


class Linear(keras.layers.Dense):
    """A proxy without BatchNorm, whose statistics see unweighted samples."""


def test_class_weight_is_a_sample_weight():
    x, y = pairs()
    by_class, by_sample = distiller(), distiller()
    by_sample.set_weights(by_class.get_weights())
    by_class.fit(x, y, class_weight={0: 2.0, 1: 0.5, 2: 1.0}, shuffle=False, verbose=0)
    weight = np.array([2.0, 0.5, 1.0], "float32")[y]
    by_sample.fit(x, y, sample_weight=weight, shuffle=False, verbose=0)
    assert_same(weights_of(by_class), weights_of(by_sample), rtol=1e-6, atol=1e-7)


def test_validation_data_is_logged():
    x, y = pairs()
    model = distiller()
    for validation in ((x, y), Pairs(x, y)):
        history = model.fit(x, y, validation_data=validation, verbose=0).history
        assert {f"val_{name}" for name in SHOWN} < set(history)


def test_the_teacher_is_trained_and_stays_as_trainable_as_it_came():
    x, y = pairs()
    teacher = dense_net(4)
    before = weights_of(teacher)
    model = distiller(teacher=teacher)
    model.fit(x, y, verbose=0)
    moved = [
        not np.array_equal(a, b)
        for a, b in zip(before, weights_of(teacher), strict=True)
    ]
    assert all(moved) and teacher.trainable
    assert all(layer.trainable for layer in teacher.layers)


def test_a_frozen_teacher_teaches_and_does_not_move():
    x, y = pairs(widths=(4, 6))
    teacher = dense_net(4, dropout=0.9)
    teacher.trainable = False
    model = distiller(teacher=teacher)
    before, proxy = weights_of(teacher), weights_of(model.teacher_proxy)
    outputs = model(x, training=True)
    np.testing.assert_allclose(  # no dropout in a model that is only used
        ops.convert_to_numpy(outputs["teacher_logits"]),
        ops.convert_to_numpy(teacher(x["depth"])),
        atol=1e-6,
    )
    model.fit(x, y, verbose=0)
    assert_same(before, weights_of(teacher), rtol=0)
    assert not teacher.trainable
    assert not np.array_equal(proxy[0], weights_of(model.teacher_proxy)[0])


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    x, y = pairs(n=48)
    keras.config.set_dtype_policy(policy)
    try:
        nets = dense_net(4), dense_net(6)
    finally:
        keras.config.set_dtype_policy("float32")
    model = distiller(teacher=nets[0], student=nets[1])
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    outputs = model(x)
    dtypes = {k: keras.backend.standardize_dtype(v.dtype) for k, v in outputs.items()}
    assert dtypes["teacher_proxy_logits"] == dtypes["student_proxy_logits"] == "float32"
    history = model.fit(x, y, epochs=15, verbose=0).history
    assert (
        history["loss"][-1] < history["loss"][0] and np.isfinite(history["loss"]).all()
    )
    assert history["accuracy"][-1] > 0.8


def test_loss_scaling_does_not_change_the_step():
    """A scaled step in float32 is the plain step: nothing is unscaled twice."""
    x, y = pairs()
    plain, scaled = distiller(), distiller()
    scaled.set_weights(plain.get_weights())
    inner = keras.optimizers.SGD(0.05, momentum=0.9)
    scaled.compile(keras.optimizers.LossScaleOptimizer(inner, initial_scale=64.0))
    for model in (plain, scaled):
        model.fit(x, y, shuffle=False, verbose=0)
    assert_same(weights_of(plain), weights_of(scaled), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "how",
    [
        {"run_eagerly": True},
        pytest.param(
            {"jit_compile": True},
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(
                    BACKEND == "torch" and shutil.which("g++") is None,
                    reason="torch.compile needs a C++ compiler",
                ),
            ],
        ),
        pytest.param(
            {"steps_per_execution": 3},
            marks=pytest.mark.skipif(BACKEND == "torch", reason="Keras refuses it"),
        ),
    ],
)
def test_ways_of_running_a_step_agree(how):
    x, y = pairs()
    plain, other = distiller(), distiller()
    other.set_weights(plain.get_weights())
    other.compile(keras.optimizers.SGD(0.05, momentum=0.9), metrics=["accuracy"], **how)
    logs = [
        model.fit(x, y, batch_size=8, shuffle=False, verbose=0).history
        for model in (plain, other)
    ]
    assert_same(weights_of(plain), weights_of(other), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-4)


def test_gradient_accumulation_waits_and_then_steps():
    x, y = pairs()
    model = distiller()
    model.compile(keras.optimizers.SGD(0.05, gradient_accumulation_steps=3))
    before = model.student.get_weights()[0]
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    np.testing.assert_array_equal(before, model.student.get_weights()[0])
    model.train_on_batch(x, y)
    assert not np.array_equal(before, model.student.get_weights()[0])


def test_ema_weights_replace_the_trained_ones():
    x, y = pairs()
    plain, averaged = distiller(), distiller()
    averaged.set_weights(plain.get_weights())
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    ends = []
    for model, ema, callbacks in ((plain, False, []), (averaged, True, [swap])):
        model.compile(keras.optimizers.SGD(0.05, use_ema=ema, ema_momentum=0.5))
        model.fit(x, y, shuffle=False, epochs=3, callbacks=callbacks, verbose=0)
        ends.append(model.student.get_weights()[0])
    assert np.isfinite(ends[1]).all() and not np.allclose(ends[0], ends[1])


def test_stock_callbacks(tmp_path):
    x, y = pairs()
    model = distiller()
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "run.keras", monitor="val_loss"),
        keras.callbacks.BackupAndRestore(tmp_path / "backup"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=9),
        keras.callbacks.ReduceLROnPlateau("val_loss"),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9),
        keras.callbacks.TerminateOnNaN(),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None),
    ]
    if BACKEND == "tensorflow":
        callbacks.append(keras.callbacks.TensorBoard(tmp_path / "tensorboard"))
    model.fit(x, y, validation_data=(x, y), epochs=2, callbacks=callbacks, verbose=0)
    header = (tmp_path / "log.csv").read_text().splitlines()[0].split(",")
    assert {*SHOWN, *C2KD.term_names} < set(header)
    assert (tmp_path / "run.keras").exists()


def test_the_progress_bar_shows_five_figures(capsys):
    x, y = pairs()
    distiller().fit(x, y, validation_data=(x, y), verbose=2)
    shown = capsys.readouterr().out
    assert all(f" {name}:" in shown for name in SHOWN)
    assert not any(name in shown for name in C2KD.term_names)


def test_metrics_objects_are_kept_apart():
    x, y = pairs()
    model = distiller()
    shared = keras.metrics.SparseTopKCategoricalAccuracy(k=2, name="top2")
    model.compile("sgd", metrics=["accuracy", shared])
    logs = model.evaluate(x, y, return_dict=True, verbose=0)
    for role, key in (("teacher", "depth"), ("student", "rgb")):
        net = getattr(model, role)
        net.compile(metrics=["accuracy"], loss=model.loss)
        alone = net.evaluate(x[key], y, return_dict=True, verbose=0)["accuracy"]
        name = "teacher_accuracy" if role == "teacher" else "accuracy"
        np.testing.assert_allclose(logs[name], alone, rtol=1e-6)
    assert logs.keys() >= {"top2", "teacher_top2"}


def test_one_hot_labels_with_a_categorical_loss():
    x, y = pairs()
    sparse, one_hot = distiller(), distiller()
    one_hot.set_weights(sparse.get_weights())
    optimizer = keras.optimizers.SGD(0.05, momentum=0.9)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    one_hot.compile(optimizer, loss=loss, metrics=["accuracy"])
    sparse.fit(x, y, shuffle=False, verbose=0)
    one_hot.fit(x, np.eye(3, dtype="float32")[y], shuffle=False, verbose=0)
    assert_same(weights_of(sparse), weights_of(one_hot), rtol=1e-5, atol=1e-6)


def test_labels_as_a_column_mean_the_same():
    x, y = pairs()
    flat, column = distiller(), distiller()
    column.set_weights(flat.get_weights())
    flat.fit(x, y, shuffle=False, verbose=0)
    column.fit(x, y[:, None], shuffle=False, verbose=0)
    assert_same(weights_of(flat), weights_of(column), rtol=1e-6, atol=1e-7)


def test_a_regularizer_is_part_of_the_loss():
    x, y = pairs()
    plain = distiller()
    penalized = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(
                16, activation="relu", name="features", kernel_regularizer="l2"
            ),
            keras.layers.Dense(3),
        ]
    )
    model = distiller(student=penalized)
    model.set_weights(plain.get_weights())
    kernel = penalized.get_weights()[0]
    logs = [
        m.evaluate(x, y, batch_size=24, return_dict=True, verbose=0)["loss"]
        for m in (plain, model)
    ]
    np.testing.assert_allclose(logs[1] - logs[0], 0.01 * (kernel**2).sum(), rtol=1e-3)


def test_training_nothing_is_refused():
    model = distiller()
    model.trainable = False
    model.compile("sgd")
    with pytest.raises(ValueError, match="something to train"):
        model.fit(*pairs(), verbose=0)


def test_training_before_compile_is_refused():
    with pytest.raises(ValueError, match="compile"):
        distiller(compiled=False).fit(*pairs(), verbose=0)


def test_the_base_class_trains_two_models_side_by_side():
    x, y = pairs()
    model = CrossModalDistiller(dense_net(4), dense_net(6), "depth", "rgb")
    model.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
    logs = model.fit(x, y, epochs=3, verbose=0).history
    assert set(logs) == {"loss", "accuracy", "teacher_accuracy"}
    assert logs["loss"][-1] < logs["loss"][0]
