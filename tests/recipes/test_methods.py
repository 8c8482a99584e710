"""The methods of a contest."""

import keras
import numpy as np
import pytest
from methods import ABLATIONS, METHODS, RIVALS, Pair, methods_of
from scipy import stats

from keras_c2kd import losses
from tests.helpers import dense_net, pairs

PAIR = ("depth", "rgb")


def test_unknown_and_repeated_methods_are_refused():
    for names in (["alone", "c3kd"], ["alone", "alone"], []):
        with pytest.raises(ValueError, match="Received: --methods="):
            methods_of(names, dense=False)


def test_methods_that_take_no_pixels_are_left_out_of_them_or_refused():
    assert methods_of(None, dense=False) == list(RIVALS)
    assert set(RIVALS) - set(methods_of(None, dense=True)) == {"fdcmkd", "ucmkd"}
    assert methods_of(["kd", "ucmkd"], dense=False) == ["kd", "ucmkd"]
    with pytest.raises(ValueError, match="per-pixel logits. Received: --methods=ucmkd"):
        methods_of(["ucmkd"], dense=True)


def pixel_net(width, name):
    x = inputs = keras.Input((4, 4, width))
    x = keras.layers.Conv2D(8, 1, activation="relu", name="features")(x)
    return keras.Model(inputs, keras.layers.Conv2D(3, 1)(x), name=name)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.build])
def test_a_method_takes_pixels_or_refuses_them_as_it_says(name, rng):
    method = METHODS[name]
    nets = pixel_net(4, "teacher"), pixel_net(6, "student")
    if not method.dense:
        with pytest.raises(ValueError, match="Received: .*shape"):
            distiller(method, {}, *nets)
        return
    model = distiller(method, {}, *nets)
    model.compile(keras.optimizers.SGD(0.01), run_eagerly=True)
    sizes = {"depth": (8, 4, 4, 4), "rgb": (8, 4, 4, 6)}
    data = {name: rng.normal(size=size) for name, size in sizes.items()}
    labels = rng.integers(3, size=(8, 4, 4), dtype="int32")
    assert np.isfinite(model.train_on_batch(data, labels)).all()


def distiller(method, settings, teacher=None, student=None):
    teacher = teacher or dense_net(4, name="teacher")
    student = student or dense_net(6, name="student")
    teacher.trainable = not method.frozen
    taps = ("features", "features")
    return method.build(Pair(teacher, student, PAIR, taps, taps, steps=6), **settings)


@pytest.mark.parametrize("name", [n for n, m in METHODS.items() if m.build])
def test_a_method_trains_a_student_and_its_teacher_as_it_says(name):
    method = METHODS[name]
    first, *others = method.search.values()
    model = distiller(method, first)
    model.compile(keras.optimizers.SGD(0.01), metrics=["accuracy"])
    before = [m.get_weights()[0].copy() for m in (model.teacher, model.student)]
    logs = model.fit(*pairs(), batch_size=8, verbose=0).history
    assert np.isfinite(logs["loss"]).all() and "accuracy" in logs
    after = [m.get_weights()[0] for m in (model.teacher, model.student)]
    assert np.array_equal(before[0], after[0]) == method.frozen
    assert not np.array_equal(before[1], after[1])
    for settings in others:
        assert distiller(method, settings).term_names == model.term_names


def test_a_search_scales_the_weights_of_the_paper():
    assert METHODS["fitnets"].search == {
        "1x": {"weight": 100.0},
        "0.3x": {"weight": 30.0},
        "3x": {"weight": 300.0},
    }


CHANGED = {
    "c2kd_frozen": "frozen",
    "c2kd_one_way": "bidirectional",
    "c2kd_no_proxies": "proxies",
    "c2kd_all_samples": "rule",
    "c2kd_target": "classes",
    "c2kd_all_classes": "classes",
    "c2kd_zero_logit": "non_target",
    "c2kd_tau_a": "variant",
    "c2kd_threshold": "threshold",
    "c2kd_both_correct": "rule",
    "c2kd_hot": "temperature",
    "c2kd_warmup": "cross_modal_weight",
    "c2kd_top_half": "rule",
    "c2kd_rising": "threshold",
    "c2kd_slow_teacher": "teacher_features",  # a model that gives its own
}


def test_an_ablation_changes_one_thing_of_c2kd():
    def settings(name):
        config = distiller(METHODS[name], {}).get_config()
        values = config.pop("ofsd")["config"] | config
        values |= {"frozen": METHODS[name].frozen}
        owned = ("name", "teacher", "student", "teacher_proxy", "student_proxy")
        return {key: value for key, value in values.items() if key not in owned}

    paper = settings("c2kd")
    for name in ABLATIONS:
        found = settings(name)
        assert {key for key in paper if paper[key] != found[key]} == {CHANGED[name]}


def test_one_way_from_a_frozen_teacher_is_both_ablations():
    both = METHODS["c2kd_one_way_frozen"]
    assert both.frozen and not METHODS["c2kd"].frozen
    assert not distiller(both, {}).bidirectional


def test_a_rising_threshold_ends_with_the_training():
    threshold = distiller(METHODS["c2kd_rising"], {}).ofsd.threshold
    values = [float(threshold(step)) for step in (0, 3, 6)]
    np.testing.assert_allclose(values, [0.0, 0.25, 0.5], atol=1e-6)


def step_of(name):
    """How far the weights go in a step of SGD: the teacher's, and all others."""
    keras.utils.set_random_seed(1)
    model = distiller(METHODS[name], {})
    model.compile(keras.optimizers.SGD(0.1))
    before = model.teacher.get_weights(), model.get_weights()
    model.train_on_batch(*pairs())
    after = model.teacher.get_weights(), model.get_weights()
    ours, all_of = (
        list(map(np.subtract, *both)) for both in zip(after, before, strict=True)
    )
    return ours, all_of[len(ours) :]


def test_a_slow_teacher_takes_a_tenth_of_the_step_and_nobody_else_does():
    (teacher, others), (slow, its_others) = map(step_of, ("c2kd", "c2kd_slow_teacher"))
    for full, tenth in zip(teacher, slow, strict=True):
        np.testing.assert_allclose(tenth, 0.1 * full, rtol=1e-3, atol=1e-6)
    for one, other in zip(others, its_others, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", ["kd", "dist"])
def test_ofsd_selects_for_other_losses(name):
    """As C2KD's Fig. 5: samples that both logits rank alike, at the loss's weight."""
    x, y = pairs()
    model = distiller(METHODS[f"ofsd_{name}"], {})
    model.compile("sgd")
    logs = model.evaluate(x, y, batch_size=24, verbose=0, return_dict=True)
    outputs = [
        net.predict(x[role], verbose=0)
        for net, role in zip((model.teacher, model.student), PAIR, strict=True)
    ]
    rows = zip(*outputs, strict=True)
    krc = np.array([stats.kendalltau(*row).statistic for row in rows])
    assert logs["krc"] == pytest.approx(krc.mean(), abs=1e-6)
    assert logs["selected"] == pytest.approx((krc > 0).mean())
    loss = getattr(losses, name.upper())()
    weighted = loss.compute_loss(*outputs, labels=y, sample_weight=1.0 * (krc > 0))
    assert logs[name] == pytest.approx(float(weighted), rel=1e-5)
