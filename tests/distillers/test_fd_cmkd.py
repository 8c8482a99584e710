import keras
import numpy as np
import pytest
import scipy.special

from keras_c2kd.distillers.fd_cmkd import FDCMKD
from tests.helpers import check_weight_zero_teaches_nothing, dense_net, pairs


def distiller(hidden=16, **kwargs):
    teacher = dense_net(4, name="teacher")
    teacher.trainable = False
    student = dense_net(6, hidden=hidden)
    model = FDCMKD(teacher, student, "depth", "rgb", "features", "features", **kwargs)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    return model


def features_of(model, x):
    kernel, bias = model.get_weights()[:2]
    return np.maximum(x @ kernel + bias, 0).astype("float64")


def halves(x):
    slow = np.abs(np.fft.fftfreq(x.shape[-1])) <= 0.25
    low = np.fft.ifft(np.fft.fft(x) * slow).real
    return low, x - low


def standardized(x):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=-1, keepdims=True)


def log(x):
    return np.sign(x) * np.log(1 + np.abs(x))


def cross_entropy(layer, x, labels):
    kernel, bias = layer.get_weights()
    logits = scipy.special.log_softmax(x @ kernel + bias, -1)
    return -logits[np.arange(len(labels)), labels]


@pytest.mark.parametrize("hidden", [16, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_terms_are_those_of_the_formula(hidden, weighted):
    x, y = pairs()
    weight = np.linspace(0, 2, 24).astype("float32") if weighted else None
    model = distiller(hidden)
    logs = model.evaluate(x, y, 24, 0, sample_weight=weight, return_dict=True)
    teacher = features_of(model.teacher, x["depth"])
    student = features_of(model.student, x["rgb"])
    if hidden != 16:
        kernel, bias = model.student_vector.get_weights()
        student = student @ kernel + bias
    (low_t, high_t), (low_s, high_s) = halves(teacher), halves(student)
    low = standardized(low_t) - standardized(low_s)
    high = log(standardized(high_t)) - log(standardized(high_s))
    align = sum(cross_entropy(model.low_classifier, z, y) for z in (low_t, low_s))
    align += sum(cross_entropy(model.high_classifier, z, y) for z in (high_t, high_s))
    terms = {"low": (low**2).mean(-1), "high": (high**2).mean(-1), "align": align}
    for name, values in terms.items():
        value = np.mean(values if weight is None else weight * values)
        assert logs[name] == pytest.approx(value, rel=1e-4), name


def test_a_sample_of_weight_zero_teaches_nothing():
    check_weight_zero_teaches_nothing(distiller(hidden=8))


@pytest.mark.parametrize("name", ["align", "low", "high"])
def test_training_lowers_the_loss_and_the_term_that_weighs(name):
    x, y = pairs(n=48)
    weights = {f"{term}_weight": 10.0 * (term == name) for term in FDCMKD.term_names}
    logs = distiller(**weights).fit(x, y, batch_size=48, epochs=12, verbose=0).history
    assert logs["loss"][-1] < 0.9 * logs["loss"][0]
    assert logs[name][-1] < 0.9 * logs[name][0]


def test_features_that_are_all_0_do_no_harm():
    x, y = pairs()
    model = distiller()
    hidden = model.student.get_layer("features")
    kernel, bias = hidden.get_weights()
    hidden.set_weights([0 * kernel, bias - 1.0])
    logs = model.fit(x, y, verbose=0).history
    assert np.isfinite(list(logs.values())).all()
    assert all(np.isfinite(w).all() for w in model.get_weights())
