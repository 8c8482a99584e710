"""The same samples in whatever form they come, and what is refused."""

import itertools
import re

import keras
import numpy as np
import pytest

from keras_c2kd.diagnostics import measure_modality_gap
from tests.diagnostics.oracle import NAMES, figures, measure, net
from tests.helpers import Pairs, dense_net, pairs

X, Y = pairs(24)


def batches_of(weights=False):
    for start in range(0, 24, 8):
        rows = slice(start, start + 8)
        batch = {k: v[rows] for k, v in X.items()}, Y[rows]
        yield (*batch, np.full(8, 9.0)) if weights else batch


def tf_data():
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)


def torch_data():
    data = pytest.importorskip("torch").utils.data
    return data.DataLoader(
        [({k: v[i] for k, v in X.items()}, int(Y[i])) for i in range(24)], batch_size=8
    )


def text_like():
    """A modality of more than one array."""
    return [
        ({**x, "depth": {"a": x["depth"][:, :2], "b": x["depth"][:, 2:]}}, y)
        for x, y in batches_of()
    ]


@pytest.mark.parametrize(
    "form",
    [
        lambda: (X, Y),
        lambda: (X, Y, np.arange(24.0)),
        lambda: [X, Y],
        lambda: list(batches_of()),
        lambda: batches_of(),
        lambda: batches_of(weights=True),
        lambda: [(x, y[:, None]) for x, y in batches_of()],
        lambda: [(x, np.eye(3)[y]) for x, y in batches_of()],
        lambda: Pairs(X, Y),
        lambda: Pairs(X, Y, np.ones(24)),
        tf_data,
        torch_data,
    ],
)
def test_every_form_of_the_data_gives_the_same(form):
    nets = dense_net(4), dense_net(6)
    expected = measure_modality_gap(*nets, X, Y, batch_size=24, **NAMES)
    found = measure_modality_gap(*nets, form(), batch_size=7, **NAMES)
    np.testing.assert_allclose(figures(found), figures(expected), rtol=1e-4, atol=1e-6)


def test_a_modality_may_be_several_arrays():
    a, b = keras.Input((2,), name="a"), keras.Input((2,), name="b")
    logits = keras.layers.Dense(3)(keras.layers.concatenate([a, b]))
    teacher = keras.Model({"a": a, "b": b}, {"logits": logits, "features": a})
    gap = measure_modality_gap(teacher, dense_net(6), text_like(), **NAMES)
    assert gap.samples == 24


def test_models_are_in_inference_mode():
    x = np.ones((64, 4), "float32")
    teacher = dense_net(4, dropout=0.9)
    before = teacher.get_weights()
    gaps = [
        measure_modality_gap(teacher, dense_net(4), {"depth": x, "rgb": x}, Y, **NAMES)
        for x, Y in [(x, np.zeros(64, int))] * 2
    ]
    # All rows are alike, and dropout would tell them apart.
    assert gaps[0].imbalance.teacher_accuracy in (0.0, 1.0)
    assert gaps[0].misalignment.across.standard_deviation < 1e-6
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="a model of torch")
def test_a_model_that_asks_torch_for_the_mode_is_told():
    torch = pytest.importorskip("torch")

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            x = torch.nn.functional.dropout(x, 0.9, training=self.training)
            return self.dense(x)

    teacher = Net()
    teacher.train()
    x = {"depth": np.ones((64, 4), "float32"), "rgb": np.ones((64, 6), "float32")}
    gap = measure_modality_gap(teacher, dense_net(6), x, np.zeros(64, int), **NAMES)
    assert gap.misalignment.across.standard_deviation < 1e-6


@pytest.mark.skipif(keras.config.backend() == "torch", reason="torch has 1 only")
def test_a_teacher_that_was_compiled_for_several_steps_at_once():
    teacher = dense_net(4)
    expected = measure_modality_gap(teacher, teacher, {"depth": X["depth"]}, Y, **SAME)
    teacher.compile("sgd", "mse", steps_per_execution=3)
    gap = measure_modality_gap(teacher, teacher, {"depth": X["depth"]}, Y, **SAME)
    assert gap == expected and gap.misalignment.across.mean == 1.0


SAME = {"teacher_modality": "depth", "student_modality": "depth"}


# === What is refused ===


class Endless(Pairs):
    num_batches = None


def present(**flags):
    return {**X, "present": flags}


@pytest.mark.parametrize(
    ("data", "labels", "words"),
    [
        (X, None, "Expected labels beside the inputs"),
        (X, Y[:5], "one length .*Received: lengths 24, 5"),
        (X, Y.tolist(), "one length .*Received: lengths 24, int"),
        (X, Y.astype("float32"), "integer labels of shape .*float32 labels"),
        (X, Y + 1, "labels from 0 to 2.*Received: label 3"),
        (X, np.ones((24, 3)), r"with a sum of 1. Received: label \[1. 1. 1.\]"),
        (X, np.eye(4)[Y], r"shape \(24, 3\).* labels of shape \(24, 4\)"),
        (list(batches_of()), Y, "with a dict of arrays only"),
        ([(x, None) for x, _ in batches_of()], None, "labels beside the inputs"),
        ([(tuple(x.values()), y) for x, y in batches_of()], None, "key 'depth' for"),
        ({"depth": X["depth"]}, Y, r"key 'rgb' for the student. .*\['depth'\]"),
        ({k: v[:0] for k, v in X.items()}, Y[:0], "at least one labelled sample"),
        ([], None, "at least one labelled sample"),
        (Endless(X, Y), None, "a dataset that ends"),
        (present(depth=np.zeros(24, bool)), Y, "Received: none, and 24 that lack"),
        (present(dept=np.zeros(24, bool)), Y, r"present=\['dept'\]"),
        ({**X, "present": np.ones(24)}, Y, "dict from modality to one boolean"),
        ([(present(rgb=np.ones(1)), Y)], None, "24 booleans.*'rgb'.*Received: 1"),
    ],
)
def test_data_that_cannot_be_measured_is_refused(data, labels, words):
    with pytest.raises(ValueError, match=words):
        measure_modality_gap(
            dense_net(4), dense_net(6), data, labels, batch_size=24, **NAMES
        )


def test_a_dataset_that_repeats_for_ever_is_refused():
    with pytest.raises(ValueError, match="take.*repeats without end"):
        measure_modality_gap(dense_net(4), dense_net(6), tf_data().repeat(), **NAMES)


T, S = dense_net(4), dense_net(6)
TUPLE = keras.Model(T.input, [T.output, T.output])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"teacher": lambda x: x}, "Expected the teacher to be a keras.Model"),
        ({"teacher": TUPLE}, "teacher to return logits, or a dict"),
        (
            {"student": dense_net(6, classes=4)},
            r"teacher logits \(24, 3\), student .*4",
        ),
        (
            {"student": dense_net(6, classes=1), "teacher": dense_net(4, 1)},
            "two classes",
        ),
        ({"references": T}, "Expected `references` to be a pair"),
        ({"references": (None,)}, "Expected `references` to be a pair"),
        ({"references": (T, None)}, "another net of the teacher's"),
        ({"references": (None, "rgb")}, "other_student to be a keras.Model"),
        ({"batch_size": 0}, "positive integer. Received: batch_size=0"),
        ({"batch_size": 2.5}, "positive integer. Received: batch_size=2.5"),
    ],
)
def test_models_and_settings_that_do_not_fit_are_refused(arguments, words):
    nets = {"teacher": T, "student": S}
    settings = {"batch_size": 24, **NAMES}
    with pytest.raises(ValueError, match=words):
        measure_modality_gap(data=X, labels=Y, **{**nets, **settings, **arguments})


def test_probabilities_and_logits_that_are_not_finite_are_refused(rng):
    z = rng.normal(size=(24, 3)).astype("float32")
    p = np.asarray(keras.ops.convert_to_numpy(keras.ops.softmax(z)))
    with pytest.raises(ValueError, match="without a final softmax.* from the student"):
        measure(z, p, Y)
    some = np.where(np.arange(24)[:, None] < 23, p, z)
    assert measure(z, some, Y).samples == 24
    for value, role in itertools.product((np.nan, np.inf), ("teacher", "student")):
        bad = z.copy()
        bad[3, 1] = value
        nets = (bad, z) if role == "teacher" else (z, bad)
        with pytest.raises(ValueError, match=f"NaN or infinity from the {role}"):
            measure(*nets, Y)


def test_void_pixels_may_hold_any_logits(rng):
    z = rng.normal(size=(2, 4, 3)).astype("float32")
    labels = np.array([[0, 1, 2, -1]] * 2)
    expected = measure(z[:, :3], z[:, :3], labels[:, :3])
    z[:, 3] = np.nan
    assert measure(z, z, labels) == expected


def test_labels_of_another_grid_are_refused(rng):
    z = rng.normal(size=(2, 4, 4, 3)).astype("float32")
    words = re.escape("shape (2, 4, 4), or one-hot labels of shape (2, 4, 4, 3)")
    with pytest.raises(ValueError, match=words):
        measure(z, z, np.zeros((2, 8, 8), int))


def test_the_nets_of_these_tests_return_what_they_get(rng):
    z = rng.normal(size=(3, 2, 5)).astype("float32")
    np.testing.assert_array_equal(net(2, 5).predict(z, verbose=0), z)
    np.testing.assert_array_equal(net(5, row=1).predict(z, verbose=0), z[:, 1])
