import keras
import numpy as np
import pytest
import scipy.special
from keras import layers
from scipy.spatial.distance import cdist

from keras_c2kd.distillers.ucmkd import UCMKD
from tests.helpers import assert_same, conv_net, dense_net, pairs, weights_of


def deep_net(width=4):
    """Its tap is one layer too early for its own classifier, and as wide."""
    x = inputs = keras.Input((width,))
    x = layers.Dense(16, activation="relu", name="features")(x)
    x = layers.Dense(16, activation="relu", name="second")(x)
    return keras.Model(inputs, layers.Dense(3)(x))


def distiller(teacher=None, student=None, tap="features", **kwargs):
    teacher = teacher or dense_net(4, name="teacher")
    teacher.trainable = False
    student = student or dense_net(6)
    model = UCMKD(teacher, student, "depth", "rgb", tap, "features", **kwargs)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    return model


def features_of(model, x):
    kernel, bias = model.get_weights()[:2]
    return np.maximum(x @ kernel + bias, 0).astype("float64")


def transport(cost, epsilon, mass):
    kernel = np.exp(-cost / epsilon)
    columns = np.ones(len(cost))
    for _ in range(3000):
        rows = mass / (kernel @ columns)
        columns = mass / (kernel.T @ rows)
    return (rows[:, None] * kernel * columns * cost).sum()


@pytest.mark.parametrize("hidden", [16, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_terms_are_those_of_the_formula(rng, hidden, weighted):
    x, y = pairs()
    weight = rng.uniform(0.5, 2.0, 24).astype("float32") if weighted else None
    model = distiller(student=dense_net(6, hidden=hidden), epsilon=0.5, iterations=300)
    logs = model.evaluate(
        x, y, batch_size=24, sample_weight=weight, verbose=0, return_dict=True
    )
    weight = np.ones(24) if weight is None else weight
    teacher = features_of(model.teacher, x["depth"])
    student = vector = features_of(model.student, x["rgb"])
    if hidden != 16:
        kernel, bias = model.student_vector.get_weights()
        vector = student @ kernel + bias

    def log_probability(net, z):
        kernel, bias = net.get_weights()[2:]
        return scipy.special.log_softmax(z @ kernel + bias, -1)[np.arange(24), y]

    by_teacher = log_probability(model.teacher, vector)
    by_student = log_probability(model.student, student)
    gap = -by_student + np.exp(by_teacher) * by_teacher
    moved = transport(cdist(vector, teacher), 0.5, weight / 24)
    assert logs["feature_alignment"] == pytest.approx(moved, rel=1e-3)
    assert logs["label_alignment"] == pytest.approx((weight * gap).mean(), rel=1e-4)
    assert logs["teacher_to_classifier"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("teacher", [dense_net, deep_net])
def test_the_teachers_rows_may_come_in_any_order(rng, teacher):
    """With a frozen teacher nothing depends on which sample goes with which."""
    x, y = pairs()
    shuffled = {**x, "depth": x["depth"][rng.permutation(24)]}
    results = []
    for data in (x, shuffled):
        keras.utils.set_random_seed(2)
        model = distiller(teacher(4))
        logs = model.fit(data, y, batch_size=24, epochs=3, verbose=0).history
        results.append((weights_of(model), list(logs.values())))
    assert_same(results[0][0], results[1][0], atol=1e-5)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("teacher", "tap", "own"),
    [
        (dense_net(4), "features", True),
        (deep_net(), "second", True),
        (deep_net(), "features", False),
        (conv_net(1), "stage_2", True),
        (conv_net(1), "stage", False),
        (conv_net(1, nested=True), "backbone/stage_2", True),
        (conv_net(1, nested=True), "backbone/stage", False),
    ],
)
def test_the_teachers_own_classifier_is_taken_where_the_tap_feeds_it(teacher, tap, own):
    model = distiller(teacher, tap=tap)
    assert (model.classifier is None) is own
    x = np.ones((2, *teacher.input.shape[1:]), "float32")
    outputs = model({"depth": x, "rgb": np.ones((2, 6), "float32")})
    ours = keras.ops.convert_to_numpy(outputs["teacher_classified"])
    theirs = keras.ops.convert_to_numpy(outputs["teacher_logits"])
    assert np.allclose(ours, theirs, atol=1e-5) is own


@pytest.mark.parametrize("where", ["inside", "after"])
def test_a_classifier_that_bends_its_logits_is_not_the_classifier(where):
    x = inputs = keras.Input((4,))
    x = layers.Dense(16, name="features")(x)
    x = layers.Dense(3, activation="tanh" if where == "inside" else None)(x)
    outputs = layers.Rescaling(2.0)(x) if where == "after" else x
    assert distiller(keras.Model(inputs, outputs)).classifier is not None


def test_a_learned_classifier_learns_from_the_teacher_alone():
    """Its kernel moves with the teacher's answers, not with the student's terms."""
    x, y = pairs()
    kernels = []
    for weights in ({}, {"feature_weight": 0.0, "label_weight": 0.0}):
        keras.utils.set_random_seed(2)
        model = distiller(deep_net(), **weights)
        model.train_on_batch(x, y)
        kernels.append(np.array(model.classifier.kernel))
    np.testing.assert_allclose(*kernels, atol=1e-6)


def test_kappa_is_held_and_the_gradient_reaches_the_features():
    """One step on the label alignment alone, against differences in float64."""
    x, y = pairs()
    model = distiller(feature_weight=0.0)
    model.compile(keras.optimizers.SGD(1.0), run_eagerly=True)
    kernel, bias = (
        np.float64(w) for w in model.student.get_layer("features").get_weights()
    )
    heads = [
        [np.float64(w) for w in net.get_weights()[2:]]
        for net in (model.student, model.teacher)
    ]

    def log_probabilities(bias):
        z = np.maximum(x["rgb"] @ kernel + bias, 0)
        return [
            scipy.special.log_softmax(z @ k + b, -1)[np.arange(24), y] for k, b in heads
        ]

    kappa = np.exp(log_probabilities(bias)[1])

    def loss(bias):
        by_student, by_teacher = log_probabilities(bias)
        return np.mean(-2 * by_student + kappa * by_teacher)  # and the task loss

    steps = 1e-5 * np.eye(16)
    expected = [(loss(bias + e) - loss(bias - e)) / 2e-5 for e in steps]
    model.train_on_batch(x, y)
    change = bias - np.array(model.student.get_layer("features").bias)
    np.testing.assert_allclose(change, expected, atol=1e-4)


def test_training_lowers_the_loss_also_unpaired(rng):
    x, y = pairs(n=48)
    x["depth"] = x["depth"][rng.permutation(48)]
    model = distiller()
    logs = model.fit(x, y, batch_size=16, epochs=8, verbose=0).history
    assert logs["loss"][-1] < 0.8 * logs["loss"][0]
    assert logs["feature_alignment"][-1] < logs["feature_alignment"][0]
