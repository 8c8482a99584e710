"""A sample without one modality: the gradients of what is there, and no others."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_c2kd import OFSD
from keras_c2kd.distillers.incomplete import fill
from tests import helpers


def batch(rng, n=12):
    inputs = {
        "depth": rng.normal(size=(n, 4)).astype("float32"),
        "rgb": rng.normal(size=(n, 6)).astype("float32"),
    }
    present = {
        "depth": np.arange(n) % 4 != 1,  # 1, 5, 9 lack depth
        "rgb": np.arange(n) % 4 != 2,  # 2, 6, 10 lack rgb
    }
    return inputs, np.arange(n, dtype="int32") % 3, present


def variables(model):
    parts = ("teacher", "student", "teacher_proxy", "student_proxy")
    return {
        f"{part}/{i}": np.array(v)
        for part in parts
        for i, v in enumerate(getattr(model, part).trainable_variables)
    }


def one_step(model, inputs, labels):
    """The change that one step of plain SGD makes, variable by variable."""
    model.compile(keras.optimizers.SGD(1.0), weighted_metrics=["accuracy"])
    before = variables(model)
    logs = model.train_on_batch(inputs, labels, return_dict=True)
    after = variables(model)
    return {path: after[path] - before[path] for path in before}, logs


def same_model(**kwargs):
    keras.utils.set_random_seed(5)
    return helpers.distiller(compiled=False, ofsd=OFSD(threshold=-1.0), **kwargs)


def test_gradients_are_those_of_the_complete_terms_alone(rng):
    """One step on a batch with gaps = task losses of what is there + terms of pairs."""
    inputs, labels, present = batch(rng)
    with_gaps, _ = one_step(same_model(), {**inputs, "present": present}, labels)

    def rows(mask):
        return {k: v[mask] for k, v in inputs.items()}, labels[mask]

    complete = present["depth"] & present["rgb"]
    pairs, _ = one_step(same_model(), *rows(complete))
    # The task losses alone, of one model at a time, on whatever it can see.
    expected = dict(pairs)
    for role, modality in (("teacher", "depth"), ("student", "rgb")):
        for mask, sign in ((present[modality], 1.0), (complete, -1.0)):
            model = same_model()
            alone = getattr(model, role)
            alone.compile(
                keras.optimizers.SGD(1.0),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            )
            before = variables(model)
            alone.train_on_batch(inputs[modality][mask], labels[mask])
            for path, new in variables(model).items():
                expected[path] = expected[path] + sign * (new - before[path])
    assert set(expected) == set(with_gaps)
    for path, change in with_gaps.items():
        np.testing.assert_allclose(change, expected[path], atol=2e-6, err_msg=path)


@pytest.mark.parametrize("garbage", [0.0, 1e30, np.nan])
def test_what_stands_where_nothing_is_has_no_influence(rng, garbage):
    inputs, labels, present = batch(rng)
    reference, logs = one_step(same_model(), {**inputs, "present": present}, labels)
    spoiled = {
        name: np.where(present[name][:, None], value, np.float32(garbage))
        for name, value in inputs.items()
    }
    change, spoiled_logs = one_step(
        same_model(), {**spoiled, "present": present}, labels
    )
    helpers.assert_same(change.values(), reference.values(), atol=1e-7)
    assert logs == spoiled_logs


def test_everything_present_is_no_entry(rng):
    inputs, labels, _ = batch(rng)
    everyone = {name: np.ones(12, bool) for name in inputs}
    plain, logs = one_step(same_model(), inputs, labels)
    marked, marked_logs = one_step(
        same_model(), {**inputs, "present": everyone}, labels
    )
    helpers.assert_same(marked.values(), plain.values(), atol=1e-6)
    for name, value in logs.items():
        assert marked_logs[name] == pytest.approx(value, rel=1e-5)


def test_a_batch_without_any_pair_trains_on_labels_alone(rng):
    inputs, labels, _ = batch(rng)
    present = {"depth": np.zeros(12, bool)}
    change, logs = one_step(same_model(), {**inputs, "present": present}, labels)
    assert np.isfinite(list(logs.values())).all()
    for path, value in change.items():
        if path.startswith("student/"):
            assert np.abs(value).max() > 0
        else:
            assert np.abs(value).max() == 0, path
    assert logs["teacher_proxy_to_student_proxy"] == 0.0 == logs["selected"]


def test_metrics_count_what_is_there(rng):
    inputs, labels, present = batch(rng)
    model = same_model()
    model.compile("sgd", weighted_metrics=["accuracy"])
    logs = model.evaluate(
        {**inputs, "present": present}, labels, verbose=0, return_dict=True
    )
    for prefix, role, name in (
        ("teacher_", "teacher", "depth"),
        ("", "student", "rgb"),
    ):
        logits = getattr(model, role).predict(inputs[name], verbose=0)
        right = (logits.argmax(-1) == labels)[present[name]]
        assert logs[f"{prefix}accuracy"] == pytest.approx(right.mean(), abs=1e-6)


def test_statistics_of_batch_norm_see_no_stand_in_zeros(rng):
    """Rows that are not there are copies of rows that are, also in the body."""

    def net(width, name):
        x = inputs = keras.Input((width,))
        x = layers.BatchNormalization(momentum=0.0, name=f"{name}_bn")(x)
        x = layers.Dense(8, name="features")(x)
        return keras.Model(inputs, layers.Dense(3)(x), name=name)

    inputs, labels, present = batch(rng)
    model = same_model(teacher=net(4, "teacher"), student=net(6, "student"))
    model.compile("sgd")
    inputs["depth"] = np.where(present["depth"][:, None], inputs["depth"] + 100, 0)
    model.fit({**inputs, "present": present}, labels, batch_size=12, verbose=0)
    mean = np.array(model.teacher.get_layer("teacher_bn").moving_mean)
    assert (mean > 98).all()


def test_fit_takes_it_from_a_dataset_and_predict_needs_none(rng):
    tf = pytest.importorskip("tensorflow")
    inputs, labels, present = batch(rng)
    data = tf.data.Dataset.from_tensor_slices(({**inputs, "present": present}, labels))
    model = same_model()
    model.compile("sgd", weighted_metrics=["accuracy"])
    history = model.fit(data.batch(5), validation_data=data.batch(5), verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()
    assert model.predict(data.batch(5), verbose=0).shape == (12, 3)


@pytest.mark.parametrize("present", [{"sound": np.ones(12, bool)}, {}, np.ones(12)])
def test_a_wrong_entry_is_refused(rng, present):
    inputs, labels, _ = batch(rng)
    model = same_model()
    model.compile("sgd")
    with pytest.raises(ValueError, match="a dict of booleans.*Received: present="):
        model.train_on_batch({**inputs, "present": present}, labels)


def test_rows_are_copied_from_rows_that_are_there(rng):
    there = np.array([False, True, False, True, False])
    rows = keras.ops.convert_to_numpy(fill(np.arange(5.0)[:, None], there))[:, 0]
    assert rows[1] == 1 and rows[3] == 3 and set(rows) == {1.0, 3.0}
