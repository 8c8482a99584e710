import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats

from keras_c2kd.distillers.shake import SHAKE
from tests.helpers import (
    assert_same,
    check_weight_zero_teaches_nothing,
    dense_net,
    pairs,
    weights_of,
)


def distiller(**kwargs):
    teacher = dense_net(4, name="teacher")
    teacher.trainable = False
    model = SHAKE(teacher, dense_net(6), "depth", "rgb", "features", **kwargs)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    return model


def divergence(a, b, temperature):
    a, b = (scipy.special.softmax(np.float64(z) / temperature, -1) for z in (a, b))
    return temperature**2 * scipy.stats.entropy(a, b, axis=-1)


def logits_of(model, x):
    """By NumPy, from the weights: a shadow head sees the teacher's features."""

    def net(model, x):
        hidden, bias, kernel, out = model.get_weights()
        features = np.maximum(x @ hidden + bias, 0)
        return features, features @ kernel + out

    features, teacher = net(model.teacher, x["depth"])
    linear, gamma, beta, mean, variance, kernel, bias = model.shadow_head.get_weights()
    z = (features @ linear - mean) / np.sqrt(variance + 1e-5) * gamma + beta
    shadow = np.where(z > 0, z, 0.1 * z) @ kernel + bias
    return teacher, net(model.student, x["rgb"])[1], shadow


@pytest.mark.parametrize("temperature", [1.0, 4.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_terms_are_those_of_the_formula(temperature, weighted):
    x, y = pairs()
    weight = np.linspace(0, 2, 24).astype("float32") if weighted else None
    model = distiller(temperature=temperature)
    logs = model.evaluate(x, y, 24, 0, sample_weight=weight, return_dict=True)
    teacher, student, shadow = logits_of(model, x)
    expected = {
        "teacher_to_shadow": divergence(teacher, shadow, temperature),
        "shadow_to_student": divergence(shadow, student, temperature),
        "student_to_shadow": divergence(student, shadow, temperature),
        "labels_to_shadow": -scipy.special.log_softmax(shadow, -1)[np.arange(24), y],
    }
    for name, values in expected.items():
        value = np.mean(values if weight is None else weight * values)
        assert logs[name] == pytest.approx(value, rel=1e-4), name


def test_a_sample_of_weight_zero_teaches_nothing():
    """But for the statistics of the shadow head's BatchNorm, which are frozen here."""
    model = distiller(label_weight=1.0)
    model.shadow_head.norm.trainable = False
    check_weight_zero_teaches_nothing(model)


@pytest.mark.parametrize(
    ("weights", "student_is_taught", "shadow_learns"),
    [
        ((1.0, 0.0, 0.0), False, True),
        ((0.0, 1.0, 0.0), True, True),
        ((0.0, 0.0, 1.0), False, True),
        ((0.0, 0.0, 0.0), False, False),
    ],
)
def test_who_learns_from_whom(weights, student_is_taught, shadow_learns):
    x, y = pairs()
    names = ("shadow_weight", "mutual_weight", "label_weight")
    model = distiller(**dict(zip(names, weights, strict=True)))
    alone = keras.models.clone_model(model.student)
    alone.set_weights(model.student.get_weights())
    model.compile(keras.optimizers.SGD(0.1), run_eagerly=True)
    alone.compile(keras.optimizers.SGD(0.1), model.loss, run_eagerly=True)
    before = model.shadow_head.linear.get_weights()[0]
    model.train_on_batch(x, y)
    alone.train_on_batch(x["rgb"], y)
    after = model.shadow_head.linear.get_weights()[0]
    difference = [
        a - b for a, b in zip(weights_of(model.student), weights_of(alone), strict=True)
    ]
    assert (max(np.abs(d).max() for d in difference) > 1e-5) == student_is_taught
    assert (np.abs(after - before).max() > 1e-5) == shadow_learns


def test_a_step_with_gaps_is_one_of_the_pairs_for_the_shadow():
    """Also its BatchNorm sees no row that stands in for a missing one."""
    x, y = pairs()
    there = np.arange(24) % 3 != 1
    some = {name: value[there] for name, value in x.items()}
    heads = []
    for data, labels in (({**x, "present": {"depth": there}}, y), (some, y[there])):
        keras.utils.set_random_seed(2)
        model = distiller(label_weight=1.0)
        model.train_on_batch(data, labels)
        heads.append(weights_of(model.shadow_head))
    assert_same(*heads, atol=1e-6)


def test_training_lowers_the_loss_and_every_divergence():
    x, y = pairs(n=48)
    logs = distiller().fit(x, y, batch_size=16, epochs=8, verbose=0).history
    assert logs["loss"][-1] < 0.7 * logs["loss"][0]
    for name in SHAKE.term_names[:3]:
        assert logs[name][-1] < logs[name][0], name
