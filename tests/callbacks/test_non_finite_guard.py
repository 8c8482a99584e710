import logging

import keras
import numpy as np
import pytest
from keras import layers

from keras_c2kd.callbacks import (
    NonFiniteGuard,
    Position,
    StudentCheckpoint,
    TrainingCheckpoint,
)
from tests.callbacks.test_training_checkpoint import Stop
from tests.helpers import (
    Pairs,
    assert_same,
    conv_net,
    dense_net,
    distiller,
    pairs,
    weights_of,
)

IDS = [f"sample_{i}" for i in range(24)]


def norm_distiller(**kwargs):
    """With BatchNorm in both encoders, whose statistics a bad batch would spoil."""

    def net(width):
        x = inputs = keras.Input((width,))
        x = layers.BatchNormalization()(layers.Dense(8)(x))
        x = layers.ReLU(name="features")(layers.Dropout(0.1, seed=3)(x))
        return keras.Model(inputs, layers.Dense(3)(x))

    return distiller(teacher=net(4), student=net(6), **kwargs)


def batch_of(x, y, size=8):
    """What `fit(x, y, batch_size=size, shuffle=False)` sees at a step."""

    def find(epoch, step):
        rows = slice(size * step, size * (step + 1))
        batch = keras.tree.map_structure(lambda a: a[rows], (x, y))
        return IDS[rows], batch

    return find


def fit(model, x, y, guard, epochs=1):
    return model.fit(
        x, y, batch_size=8, shuffle=False, epochs=epochs, callbacks=[guard], verbose=0
    ).history


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_input_that_is_no_number_stops_and_names_the_samples(value):
    x, y = pairs()
    x["depth"][[9, 12], 1] = value
    model = norm_distiller()
    with pytest.raises(FloatingPointError) as error:
        fit(model, x, y, NonFiniteGuard(batch_of=batch_of(x, y)))
    words = "non-finite depth of 'sample_9', 'sample_12' at epoch 1, step 2"
    assert words in str(error.value)
    assert all(np.isfinite(w).all() for w in weights_of(model))


def test_the_weights_are_those_before_the_bad_step():
    x, y = pairs()
    one, two = norm_distiller(), norm_distiller()
    two.set_weights(one.get_weights())
    whole = x["rgb"].copy()
    x["rgb"][17] = np.nan  # in the third batch
    with pytest.raises(FloatingPointError, match="at epoch 1, step 3"):
        fit(one, x, y, NonFiniteGuard())
    first = ({"depth": x["depth"][:16], "rgb": whole[:16]}, y[:16])
    fit(two, *first, NonFiniteGuard())
    assert_same(weights_of(one), weights_of(two))


def test_steps_are_left_out_as_if_their_batch_were_not_there(caplog):
    x, y = pairs()
    one, two = norm_distiller(), norm_distiller()
    two.set_weights(one.get_weights())
    bad = {"depth": x["depth"].copy(), "rgb": x["rgb"].copy()}
    bad["depth"][10, 0] = np.nan
    rest = np.r_[0:8, 16:24]
    good = keras.tree.map_structure(lambda a: a[rest], (x, y))
    guard = NonFiniteGuard("skip", batch_of=batch_of(bad, y))
    with caplog.at_level(logging.WARNING, "keras_c2kd"):
        history = fit(one, bad, y, guard, epochs=2)
    expected = fit(two, *good, NonFiniteGuard("skip"), epochs=2)
    assert_same(weights_of(one), weights_of(two))
    assert history.pop("non_finite_steps") == [1.0, 1.0]
    assert expected.pop("non_finite_steps") == [0.0, 0.0]
    for name in history:
        np.testing.assert_allclose(history[name], expected[name], rtol=1e-6)
    assert int(one.optimizer.iterations) == 4
    assert "non-finite depth of 'sample_10' at epoch 1, step 2" in caplog.text
    assert "Epoch 2: 1 steps were not finite and left out" in caplog.text


def test_an_exploding_training_names_the_step_and_keeps_the_student(tmp_path):
    x, y = pairs()
    model = distiller()
    model.compile(keras.optimizers.SGD(1e30))
    good = tmp_path / "student.keras"
    callbacks = [NonFiniteGuard(), StudentCheckpoint(good, monitor="loss")]
    with pytest.raises(FloatingPointError, match="epoch 1, step 2.*|clipnorm"):
        model.fit(x, y, batch_size=8, shuffle=False, callbacks=callbacks, verbose=0)
    assert not good.exists()
    assert len(model.student.get_weights()) == 4  # still there, on JAX too


def test_terms_and_logits_are_named():
    x, y = pairs()
    model = distiller()
    model.student.layers[-1].bias.assign([np.nan, 0.0, 0.0])
    guard = NonFiniteGuard(batch_of=batch_of(x, y))
    with pytest.raises(FloatingPointError, match="student_logits of 'sample_0'"):
        fit(model, x, y, guard)
    model = distiller(cross_modal_weight=1e38)
    for layer in (model.teacher, model.student):
        layer.set_weights([100.0 * w for w in layer.get_weights()])
    with pytest.raises(FloatingPointError, match="loss or gradient|non-finite .* in a"):
        fit(model, x, y, guard)


@pytest.mark.skipif(keras.config.backend() != "jax", reason="others raise themselves")
def test_labels_out_of_range_are_named():
    x, y = pairs()
    y[20] = 3
    guard = NonFiniteGuard(batch_of=batch_of(x, y))
    with pytest.raises(FloatingPointError, match="labels out of range of 'sample_20'"):
        distiller().fit(Pairs(x, y), shuffle=False, callbacks=[guard], verbose=0)


def test_what_stands_for_a_missing_modality_may_be_nan():
    x, y = pairs()
    there = np.arange(24) % 4 > 0
    x["depth"][~there] = np.nan
    x["present"] = {"depth": there}
    model = distiller()
    history = fit(model, x, y, NonFiniteGuard("skip"))
    assert "non_finite_steps" not in model.evaluate(x, y, verbose=0, return_dict=True)
    assert history["non_finite_steps"] == [0.0] and np.isfinite(history["loss"]).all()


def test_scaled_losses_may_overflow_in_gradients():
    x, y = pairs()
    model = distiller()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.01), initial_scale=1e38
    )
    model.compile(optimizer)
    assert fit(model, x, y, NonFiniteGuard())["non_finite_steps"] == [0.0]
    assert float(optimizer.dynamic_scale) < 1e38  # it has seen them


def test_any_model_stops_at_a_loss_that_is_no_number():
    x, y = pairs()
    x["rgb"][9] = np.nan
    inputs = keras.Input((6,))
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    guard = NonFiniteGuard(batch_of=batch_of(x["rgb"], y))
    with pytest.raises(FloatingPointError, match="input of 'sample_9' at epoch 1, ste"):
        fit(model, x["rgb"], y, guard)
    with pytest.raises(ValueError, match="CrossModalDistiller.*Received: Functional"):
        fit(model, x["rgb"], y, NonFiniteGuard("skip"))


def test_weights_that_are_no_numbers_end_the_epoch_of_any_model():
    # A rectifier may hide NaN from the loss, as on TensorFlow, not from the gradient.
    x, y = pairs()
    model = dense_net(6)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    class Spoil(keras.callbacks.Callback):
        def on_train_end(self, logs=None):
            raise AssertionError("the epoch was not ended")

        def on_epoch_end(self, epoch, logs=None):
            kernel = self.model.get_layer("features").kernel
            kernel.assign(np.full(kernel.shape, np.nan))

    with pytest.raises(FloatingPointError, match="weights of features at epoch 1"):
        callbacks = [Spoil(), NonFiniteGuard()]
        model.fit(x["rgb"], y, callbacks=callbacks, verbose=0)


def test_a_training_that_goes_on_counts_its_steps_from_there():
    x, y = pairs()
    x["rgb"][1] = np.nan
    guard = NonFiniteGuard(start=Position(0, 5))
    with pytest.raises(FloatingPointError, match="epoch 1, step 6"):
        fit(distiller(), x, y, guard)


def test_a_training_that_goes_on_knows_what_it_has_left_out(tmp_path, caplog):
    x, y = pairs()
    x["depth"][[0, 20], 0] = np.nan  # in the first batch of three, and in the last
    callbacks = [NonFiniteGuard("skip"), TrainingCheckpoint(tmp_path, 0), Stop(1)]
    with pytest.raises(KeyboardInterrupt):
        norm_distiller().fit(Pairs(x, y), shuffle=False, callbacks=callbacks, verbose=0)
    model, checkpoint = norm_distiller(), TrainingCheckpoint(tmp_path)
    assert checkpoint.restore(model, Pairs(x, y)) == Position(0, 1)
    guard = NonFiniteGuard("skip", start=Position(0, 1))
    rest = keras.tree.map_structure(lambda a: a[8:], (x, y))
    callbacks = [guard, checkpoint]
    caplog.clear()
    with caplog.at_level(logging.WARNING, "keras_c2kd"):
        history = model.fit(
            *rest, batch_size=8, shuffle=False, callbacks=callbacks, verbose=0
        ).history
    assert history["non_finite_steps"] == [2.0]
    assert [r.message.split(":")[0] for r in caplog.records] == [
        "Left out, since it is not finite",
        "Epoch 1",
    ]
    assert "at epoch 1, step 3" in caplog.records[0].message
    assert "2 steps were not finite" in caplog.records[1].message


def test_an_unknown_action():
    with pytest.raises(ValueError, match="stop.*skip.*Received: action='warn'"):
        NonFiniteGuard("warn")


def test_images_are_guarded_too():
    rng = np.random.default_rng(0)
    x = {n: rng.normal(size=(8, 8, 8, c)).astype("f") for n, c in IMAGES.items()}
    x["rgb"][3, 0, 0, 0] = np.inf
    y = np.arange(8, dtype="int32") % 3
    model = distiller(
        teacher=conv_net(1),
        student=conv_net(3),
        teacher_features="stage",
        student_features="stage",
    )
    with pytest.raises(FloatingPointError, match="rgb of 'sample_3'"):
        fit(model, x, y, NonFiniteGuard(batch_of=batch_of(x, y)))


IMAGES = {"depth": 1, "rgb": 3}
