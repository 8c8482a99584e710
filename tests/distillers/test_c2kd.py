import keras
import numpy as np
import pytest
import scipy.special
import scipy.stats

from keras_c2kd import C2KD, OFSD, ProxyHead
from keras_c2kd.losses import c2kd_loss_terms
from tests.helpers import (
    assert_same,
    conv_net,
    dense_net,
    distiller,
    pairs,
    weights_of,
)

SHOWN = ["loss", "krc", "selected", "accuracy", "teacher_accuracy"]


def test_the_loss_is_the_equation():
    x, y = pairs()
    model = distiller(
        teacher_proxy_weight=0.5, student_proxy_weight=2.0, cross_modal_weight=3.0
    )
    logs = model.evaluate(x, y, batch_size=len(y), return_dict=True, verbose=0)
    task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    outputs = model(x)
    expected = float(task(y, outputs["teacher_logits"]))
    expected += float(task(y, outputs["student_logits"]))
    weights = (0.5, 0.5, 2.0, 2.0, 3.0, 3.0)
    for weight, name in zip(weights, model.term_names, strict=True):
        expected += weight * logs[name]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)


def test_one_step_equals_the_builtin_step():
    class BuiltIn(C2KD):
        train_step = keras.Model.train_step

    x, y = pairs()
    weight = np.linspace(0.1, 2.0, len(y)).astype("float32")
    results = []
    for cls in (C2KD, BuiltIn):
        keras.utils.set_random_seed(3)
        nets = dense_net(4, dropout=0.5), dense_net(6, dropout=0.5)
        model = cls(
            *nets,
            "depth",
            "rgb",
            teacher_features="features",
            student_features="features",
        )
        model.compile(keras.optimizers.Adam(0.01), weighted_metrics=["accuracy"])
        logs = model.fit(
            x, y, sample_weight=weight, batch_size=8, shuffle=False, verbose=0
        ).history
        results.append((weights_of(model), {k: v[0] for k, v in logs.items()}))
    (ours, our_logs), (builtin, builtin_logs) = results
    assert_same(ours, builtin, rtol=1e-6, atol=1e-7)
    assert our_logs.keys() == builtin_logs.keys()
    for name, value in our_logs.items():
        np.testing.assert_allclose(value, builtin_logs[name], rtol=1e-5, err_msg=name)


@pytest.mark.parametrize("nested", [False, True])
def test_convolutional_nets_with_a_tap_inside_a_backbone(rng, nested):
    path = "backbone/stage" if nested else "stage"
    model = C2KD(
        conv_net(1, nested=nested),
        conv_net(3, nested=nested),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features=path,
        student_features=path,
    )
    model.compile("sgd", metrics=["accuracy"])
    x = {
        "depth": rng.normal(size=(8, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(8, 8, 8, 3)).astype("float32"),
    }
    norm = next(
        layer
        for layer in model.teacher._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    )
    before = np.array(norm.moving_mean)
    model.fit(x, np.arange(8) % 3, verbose=0)
    assert not np.array_equal(before, np.array(norm.moving_mean))
    # Counted once: the tap shares the model's layers.
    unique = {id(v) for m in (model.teacher, model.student) for v in m.weights}
    unique |= {
        id(v) for m in (model.teacher_proxy, model.student_proxy) for v in m.weights
    }
    assert len(model.weights) == len(unique)


class Subclassed(keras.Model):
    def __init__(self, classes=3, **kwargs):
        super().__init__(**kwargs)
        self.body = keras.layers.Dense(8, activation="relu")
        self.head = keras.layers.Dense(classes)

    def call(self, x):
        features = self.body(x)
        return {"logits": self.head(features), "features": features}


def test_subclassed_models_that_return_logits_and_features():
    x, y = pairs()
    model = C2KD(Subclassed(), Subclassed(), "depth", "rgb")
    model.compile("sgd", metrics=["accuracy"])
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert {*SHOWN, *C2KD.term_names} == set(history)
    assert model.predict(x, verbose=0).shape == (24, 3)


def test_nobody_selected_is_unimodal_training():
    x, y = pairs()
    model = distiller(ofsd=OFSD(threshold=1.0))
    logs = model.fit(x, y, verbose=0).history
    assert logs["selected"] == [0.0]
    assert logs["teacher_proxy_to_student_proxy"] == [0.0]


def test_a_scheduled_threshold_goes_on_where_a_saved_run_stopped(tmp_path):
    x, y = pairs()
    steps = keras.optimizers.schedules.PiecewiseConstantDecay([1, 3], [-1.0, 0.2, 1.0])
    proxies = {
        f"{role}_proxy": keras.layers.Dense(3) for role in ("teacher", "student")
    }
    model = distiller(ofsd=OFSD(threshold=steps), **proxies)
    model.optimizer.learning_rate = 0.0
    outputs = model(x)
    logits = (outputs[f"{role}_logits"] for role in proxies)
    rows = zip(*map(keras.ops.convert_to_numpy, logits), strict=True)
    krc = np.array([scipy.stats.kendalltau(*row).statistic for row in rows])
    # Two steps an epoch: up to step 1 above -1, up to 3 above 0.2, then above 1.
    expected = [(krc > threshold).mean() for threshold in (-1.0, 0.2, 1.0)]
    assert expected[0] > expected[1] > expected[2] == 0.0
    first = fit(model, x, y, epochs=1)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    for run in (model, loaded):
        history = [*first, *fit(run, x, y, epochs=2)]
        np.testing.assert_allclose(history, expected, atol=1e-6)
        assert int(run.training_step) == 5


def fit(model, x, y, epochs):
    settings = {"batch_size": 12, "shuffle": False, "verbose": 0}
    return model.fit(x, y, epochs=epochs, **settings).history["selected"]


def test_ignored_labels_are_not_there_at_all():
    x, y = pairs()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    model = distiller(compiled=False)
    model.compile("sgd", loss=loss)
    void = np.where(np.arange(24) < 12, y, -1)
    some = model.evaluate(x, void, batch_size=24, return_dict=True, verbose=0)
    half = {name: values[:12] for name, values in x.items()}
    alone = model.evaluate(half, y[:12], batch_size=12, return_dict=True, verbose=0)
    assert set(some) == set(alone) == {"loss", "krc", "selected", *model.term_names}
    for name in some:
        np.testing.assert_allclose(some[name], alone[name], rtol=1e-5, atol=1e-6)


def test_segmentation_proxies_meet_the_label_grid(rng):
    def net(channels):
        x = inputs = keras.Input((8, 8, channels))
        x = keras.layers.Conv2D(4, 3, strides=2, padding="same", name="stage")(x)
        x = keras.layers.UpSampling2D()(x)
        return keras.Model(inputs, keras.layers.Conv2D(3, 1)(x))

    model = C2KD(net(1), net(3), "depth", "rgb", "stage", "stage")
    model.compile("sgd", metrics=["accuracy"])
    x = {
        "depth": rng.normal(size=(2, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(2, 8, 8, 3)).astype("float32"),
    }
    assert tuple(model(x)["teacher_proxy_logits"].shape) == (2, 8, 8, 3)
    logs = model.fit(x, rng.integers(0, 3, (2, 8, 8)), verbose=0).history
    assert np.isfinite(logs["loss"]).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"teacher_features": "feature"}, "one of .*features.*logits"),
        ({"student_features": None}, "`student_features` to name the layer"),
        ({"teacher_features": "features/stage"}, "nested Functional"),
        ({"student": dense_net(6, classes=4)}, "same number of classes"),
        ({"teacher": dense_net(4, classes=1)}, "same number of classes"),
        ({"teacher": "resnet"}, "keras.Model"),
        ({"teacher_proxy": ProxyHead(4)}, "`teacher_proxy` to return logits"),
        ({"teacher_proxy": "mlp"}, "teacher_proxy='mlp'"),
        ({"ofsd": 0.2}, "a OFSD or None. Received: ofsd=0.2"),
        ({"teacher_modality": None}, "teacher_modality=None"),
        ({"student_features": 3}, "student_features=3"),
        ({"cross_modal_weight": -1.0}, "cross_modal_weight=-1.0"),
    ],
)
def test_models_that_do_not_go_together_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        distiller(**change)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="at least two classes"):
        distiller(teacher=dense_net(4, classes=1), student=dense_net(6, classes=1))


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_refused(activation):
    x = inputs = keras.Input((6,))
    x = keras.layers.Dense(8, name="features")(x)
    student = keras.Model(inputs, keras.layers.Dense(3, activation=activation)(x))
    with pytest.raises(ValueError, match=f"logits.*{activation}"):
        distiller(student=student)


def test_the_same_model_twice_is_refused():
    net = dense_net(4)
    with pytest.raises(ValueError, match="two models"):
        distiller(teacher=net, student=net)


# === The ablations of the paper ===


@pytest.mark.parametrize("frozen", [False, True])
def test_one_way_teaches_nothing_back(frozen):
    x, y = pairs()
    model = distiller(bidirectional=False, teacher=dense_net(4))
    model.teacher.trainable = not frozen
    logs = model.evaluate(x, y, batch_size=len(y), return_dict=True, verbose=0)
    task = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    outputs = model(x)
    expected = float(task(y, outputs["student_logits"]))
    expected += 0.0 if frozen else float(task(y, outputs["teacher_logits"]))
    for name in (
        "teacher_to_teacher_proxy",
        "teacher_proxy_to_student_proxy",
        "student_proxy_to_student",
    ):
        expected += logs[name]
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    assert logs["student_to_student_proxy"] > 0  # it is logged, and weighs nothing


def test_without_proxies_the_models_teach_each_other():
    x, y = pairs()
    model = distiller(proxies=False, teacher_features=None, student_features=None)
    logs = model.evaluate(x, y, batch_size=len(y), return_dict=True, verbose=0)
    outputs = model(x)
    assert set(outputs) == {"teacher_logits", "student_logits"}
    logits = outputs["teacher_logits"], outputs["student_logits"]
    expected = c2kd_loss_terms(y, *logits, *logits)
    for name in model.term_names:
        np.testing.assert_allclose(logs[name], float(expected[name]), atol=1e-6)
        unimodal = "student" not in name or "teacher" not in name
        assert unimodal == (abs(logs[name]) < 1e-6), name
    names = [w.path for w in model.weights]
    assert names and not any("proxy" in name for name in names)


@pytest.mark.parametrize(
    "settings",
    [
        {"rule": "all"},
        {"rule": "both_correct"},
        {"rule": "top_fraction", "fraction": 0.3},
        {"variant": "a", "threshold": 0.4},
        {"classes": "all"},
        {"classes": "target"},
        {"non_target": "zero_logit"},
    ],
)
def test_other_selections_and_classes(settings):
    x, y = pairs()
    model = distiller(ofsd=OFSD(**settings))
    logs = model.evaluate(x, y, batch_size=len(y), return_dict=True, verbose=0)
    expected = c2kd_loss_terms(y, **model(x), **settings)
    for name in model.term_names:
        np.testing.assert_allclose(logs[name], float(expected[name]), atol=1e-6)
    loaded = C2KD.from_config(model.get_config())
    assert loaded.ofsd.get_config() == model.ofsd.get_config()


def test_classes_divide_the_divergence(rng):
    """KL = TCKD + (1 - p) NCKD, sample by sample (Zhao et al., CVPR 2022)."""
    p_t, p_s = 2 * rng.normal(size=(2, 1, 6)).astype("float32")
    label = np.array([2])
    whole, target, rest = (
        float(
            c2kd_loss_terms(label, p_t, p_s, p_t, p_s, rule="all", classes=classes)[
                "teacher_proxy_to_student_proxy"
            ]
        )
        for classes in ("all", "target", "non_target")
    )
    p = scipy.special.softmax(p_t.astype("float64"), axis=-1)[0, 2]
    np.testing.assert_allclose(whole, target + (1 - p) * rest, rtol=1e-5)


def test_the_cross_modal_term_can_warm_up():
    x, y = pairs(n=24)
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 2, 1.0)
    model = distiller(
        cross_modal_weight=ramp, teacher_proxy_weight=0.0, student_proxy_weight=0.0
    )
    model.optimizer.learning_rate = 0.0
    names = ("teacher_proxy_to_student_proxy", "student_proxy_to_teacher_proxy")
    history = model.fit(x, y, batch_size=24, epochs=3, shuffle=False, verbose=0).history
    task = history["loss"][0]  # the ramp begins with 0
    crossed = sum(np.array(history[name]) for name in names)
    expected = task + crossed * [0, 0.5, 1]
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"proxies": False, "teacher_proxy": ProxyHead(3)}, "proxies=False"),
        ({"cross_modal_weight": "1"}, "cross_modal_weight='1'"),
    ],
)
def test_switches_that_contradict(arguments, message):
    with pytest.raises(ValueError, match=message):
        distiller(**arguments)
