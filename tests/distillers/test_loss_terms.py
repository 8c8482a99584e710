"""Distillation losses given to a distiller: Keras's, our own, selected, scheduled."""

import re

import keras
import numpy as np
import pytest
import scipy.stats
from keras import ops
from keras.distillation import FeatureDistillation, LogitsDistillation

from keras_c2kd import C2KD, OFSD, CrossModalDistiller
from keras_c2kd.distillers import loss_terms
from keras_c2kd.losses import DistillationLoss
from keras_c2kd.ops import batch_mean
from tests.helpers import assert_same, conv_net, dense_net, pairs, weights_of

VOID = 255


@keras.saving.register_keras_serializable(package="tests")
class Squared(DistillationLoss):
    """Squared distance of logits, and of nothing else."""

    def compute_loss(self, teacher_outputs, student_outputs, labels=None, weight=None):
        teacher = ops.stop_gradient(teacher_outputs)
        distance = ops.sum(ops.square(teacher - student_outputs), axis=-1)
        return batch_mean(distance, weight)


class OfFeatures(DistillationLoss):
    """Mean square of features, one value a sample."""

    uses = "features"

    def compute_loss(self, teacher_outputs, student_outputs, labels=None, weight=None):
        square = ops.square(ops.stop_gradient(teacher_outputs) - student_outputs)
        axes = tuple(range(1, len(square.shape)))
        return batch_mean(ops.mean(square, axis=axes), weight)


def build(
    losses,
    weights=None,
    taps="features",
    frozen=True,
    cls=CrossModalDistiller,
    **kwargs,
):
    teacher = dense_net(4, name="teacher")
    teacher.trainable = not frozen
    model = cls(
        teacher,
        dense_net(6, name="student"),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features=taps,
        student_features=taps,
        distillation_losses=losses,
        distillation_loss_weights=weights,
        **kwargs,
    )
    model.compile(keras.optimizers.SGD(0.05), metrics=["accuracy"])
    return model


def logits_of(model, x):
    outputs = model(x)
    return [
        ops.convert_to_numpy(outputs[f"{role}_logits"]).astype("float64")
        for role in ("teacher", "student")
    ]


def task_loss(logits, labels):
    log_p = logits - scipy.special.logsumexp(logits, axis=-1, keepdims=True)
    return -log_p[np.arange(len(labels)), labels].mean()


def by_scipy(teacher, student):
    rows = zip(teacher, student, strict=True)
    return np.array([scipy.stats.kendalltau(*row).statistic for row in rows])


def evaluate(model, x, y, **kwargs):
    return model.evaluate(
        x, y, batch_size=len(y), return_dict=True, verbose=0, **kwargs
    )


def test_the_loss_is_the_task_loss_and_the_weighted_terms():
    x, y = pairs()
    model = build([Squared(), Squared()], [0.5, 3.0])
    teacher, student = logits_of(model, x)
    term = np.square(teacher - student).sum(-1).mean()
    logs = evaluate(model, x, y)
    np.testing.assert_allclose([logs["squared"], logs["squared_2"]], term, rtol=1e-5)
    # The teacher is frozen: its task loss is not part of it.
    expected = task_loss(student, y) + 3.5 * term
    np.testing.assert_allclose(logs["loss"], expected, rtol=1e-5)
    co_trained = build(Squared(), frozen=False)
    teacher, student = logits_of(co_trained, x)
    expected = task_loss(teacher, y) + task_loss(student, y)
    expected += np.square(teacher - student).sum(-1).mean()
    loss = evaluate(co_trained, x, y)["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def test_without_losses_it_is_plain_training_of_the_student():
    x, y = pairs()
    model = build(None)
    student = keras.models.clone_model(model.student)
    student.set_weights(model.student.get_weights())
    student.compile(
        keras.optimizers.SGD(0.05),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    before = weights_of(model.teacher)
    model.fit(x, y, epochs=2, shuffle=False, verbose=0)
    student.fit(x["rgb"], y, epochs=2, shuffle=False, verbose=0)
    assert_same(weights_of(model.student), weights_of(student), rtol=1e-5, atol=1e-6)
    assert_same(before, weights_of(model.teacher), rtol=0)


@pytest.mark.parametrize("tapped", [False, True])
def test_keras_feature_distillation_crosses_modalities(tapped):
    names = {"teacher_layer_name": "features", "student_layer_name": "features"}
    loss = FeatureDistillation("mse", **(names if tapped else {}))
    x, y = pairs()
    model = build({"mse": loss})
    outputs = model(x)
    kind = "features" if tapped else "logits"
    teacher, student = (
        ops.convert_to_numpy(outputs[f"{role}_{kind}"])
        for role in ("teacher", "student")
    )
    expected = np.square(teacher - student).mean()
    np.testing.assert_allclose(evaluate(model, x, y)["mse"], expected, rtol=1e-5)


def test_keras_logits_distillation_crosses_modalities_and_learns():
    # Its default, the string, compares the raw logits as if they were probabilities.
    x, y = pairs()
    model = build(LogitsDistillation(3.0, keras.losses.KLDivergence()), 5.0)
    teacher, student = logits_of(model, x)
    p, q = (scipy.special.softmax(z / 3.0, axis=-1) for z in (teacher, student))
    expected = 9.0 * scipy.special.rel_entr(p, q).sum(-1).mean()
    term = evaluate(model, x, y)["logits_distillation"]
    np.testing.assert_allclose(term, expected, rtol=1e-4)
    history = model.fit(x, y, epochs=20, verbose=0).history
    assert history["logits_distillation"][-1] < 0.8 * term


KERAS_LOSSES = [LogitsDistillation(), FeatureDistillation("mse")]


@pytest.mark.parametrize("loss", KERAS_LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_keras_loss_has_no_place_for_weights(loss):
    x, y = pairs()
    sentence = (
        "Expected no sample weights, void labels or missing modalities with "
        f"keras.distillation.{type(loss).__name__}, which has no place for them; the "
        "losses of keras_c2kd.losses have. Received: sample_weight or mask"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        build(loss).fit(x, y, sample_weight=np.ones(len(y)), verbose=0)


@pytest.mark.parametrize("loss", KERAS_LOSSES, ids=lambda loss: type(loss).__name__)
def test_a_keras_loss_cannot_leave_samples_out(loss):
    sentence = (
        "Expected `loss` to be one of keras_c2kd.losses that works on logits and takes "
        "sample weights, which is how samples are left out. "
        f"Received: loss={loss!r}"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        OFSD(loss=loss)


def test_weights_of_samples_reach_the_losses():
    x, y = pairs()
    weight = np.linspace(0, 2, len(y)).astype("float32")
    model = build(Squared())
    teacher, student = logits_of(model, x)
    expected = (np.square(teacher - student).sum(-1) * weight).mean()
    term = evaluate(model, x, y, sample_weight=weight)["squared"]
    np.testing.assert_allclose(term, expected, rtol=1e-5)


def test_weights_of_pixels_reach_features_as_their_mean():
    rng = np.random.default_rng(0)
    weight = rng.random((4, 2, 2)).astype("float32")
    outputs = rng.normal(size=(2, 4, 3, 3, 5)).astype("float32")
    teacher, student = map(ops.convert_to_tensor, outputs)
    value, _ = loss_terms.evaluate(
        OfFeatures(), teacher, student, None, weight, None, None
    )
    distance = np.square(outputs[0] - outputs[1]).mean((1, 2, 3))
    expected = (distance * weight.mean((1, 2))).mean()
    np.testing.assert_allclose(float(value), expected, rtol=1e-5)


def test_what_lacks_a_modality_is_in_no_term():
    x, y = pairs()
    there = np.arange(len(y)) % 3 > 0
    model = build(Squared())
    teacher, student = logits_of(model, x)
    expected = np.square(teacher - student).sum(-1)[there].mean()
    data = {**x, "present": {"depth": there}}
    np.testing.assert_allclose(evaluate(model, data, y)["squared"], expected, rtol=1e-5)


def test_void_pixels_are_in_no_term():
    rng = np.random.default_rng(0)
    nets = [
        keras.Sequential([keras.Input((4, 4, c)), keras.layers.Dense(3)])
        for c in (1, 2)
    ]
    model = CrossModalDistiller(
        *nets,
        teacher_modality="depth",
        student_modality="rgb",
        distillation_losses=[Squared(), OFSD(rule="all", loss=Squared())],
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=VOID
    )
    model.compile("sgd", loss)
    x = {
        "depth": rng.normal(size=(5, 4, 4, 1)).astype("float32"),
        "rgb": rng.normal(size=(5, 4, 4, 2)).astype("float32"),
    }
    y = rng.integers(0, 3, (5, 4, 4))
    y[rng.random(y.shape) < 0.4] = VOID
    teacher, student = logits_of(model, x)
    expected = np.square(teacher - student).sum(-1)[y != VOID].mean()
    logs = evaluate(model, x, y)
    np.testing.assert_allclose(logs["squared"], expected, rtol=1e-5)
    np.testing.assert_allclose(logs["ofsd_squared"], expected, rtol=1e-5)
    assert logs["selected"] == 1.0


# === Selection ===


@pytest.mark.parametrize("threshold", [-1.0, 0.2])
def test_ofsd_selects_the_samples_of_another_loss(threshold):
    x, y = pairs(n=40, classes=3)
    model = build(OFSD(threshold=threshold, loss=Squared()))
    teacher, student = logits_of(model, x)
    krc = by_scipy(teacher, student)
    selected = krc > threshold
    distance = np.square(teacher - student).sum(-1)
    logs = evaluate(model, x, y)
    np.testing.assert_allclose(
        logs["ofsd_squared"], (distance * selected).mean(), rtol=1e-5
    )
    np.testing.assert_allclose(logs["krc"], np.mean(krc), atol=1e-6)
    np.testing.assert_allclose(logs["selected"], selected.mean(), atol=1e-6)


class Observing(CrossModalDistiller):
    """A method that logs what it sees of the labels."""

    observed_names = ("label", "krc")

    def distill(self, labels, outputs, sample_weight, complete):
        labels = ops.cast(labels, "float32")
        return {}, {"label": (labels, None), "krc": (labels - 2.0, None)}


@pytest.mark.parametrize("losses", [None, OFSD(loss=Squared())])
def test_what_a_method_observes_is_logged_beside_the_selection(losses):
    x, y = pairs()
    model = build(losses, cls=Observing)
    logs = evaluate(model, x, y)
    np.testing.assert_allclose(logs["label"], y.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["krc"], y.mean() - 2.0, rtol=1e-6)
    assert ("selected" in logs) == (losses is not None)
    more = () if losses is None else ("selected",)
    assert model.observed_names == ("label", "krc", *more)


# === Schedules ===


def test_weights_and_threshold_follow_their_schedules():
    x, y = pairs(n=24)
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 4, 1.0)
    steps = keras.optimizers.schedules.PiecewiseConstantDecay([2], [-1.0, 1.0])
    model = build([Squared(), OFSD(threshold=steps, loss=Squared())], [ramp, 0.0])
    model.optimizer.learning_rate = 0.0
    teacher, student = logits_of(model, x)
    distance = np.square(teacher - student).sum(-1).reshape(2, 12).mean(1)
    above = (by_scipy(teacher, student) > -1).reshape(2, 12).mean(1)
    history = model.fit(x, y, batch_size=12, epochs=3, shuffle=False, verbose=0).history
    # Two steps an epoch; the threshold is -1 up to step 2, then 1.
    selected = [above.mean(), above[0] / 2, 0.0]
    np.testing.assert_allclose(history["selected"], selected, atol=1e-6)
    ramps = np.array([[0, 0.25], [0.5, 0.75], [1, 1]])
    expected = task_loss(student, y) + (ramps * distance).mean(1)
    np.testing.assert_allclose(history["loss"], expected, rtol=1e-5)
    assert int(model.training_step) == 5


def test_a_schedule_goes_on_where_a_saved_run_stopped(tmp_path):
    x, y = pairs(n=24)
    ramp = keras.optimizers.schedules.PolynomialDecay(0.0, 8, 1.0)
    model = build([Squared(), OFSD(threshold=0.1, loss=Squared())], [ramp, 2.0])
    model.fit(x, y, batch_size=12, epochs=2, shuffle=False, verbose=0)
    model.save(tmp_path / "run.keras")
    loaded = keras.models.load_model(tmp_path / "run.keras")
    for name in ("distillation_losses", "distillation_loss_weights"):
        assert loaded.get_config()[name] == model.get_config()[name]
    logs = [
        m.fit(x, y, batch_size=12, epochs=1, shuffle=False, verbose=0).history
        for m in (model, loaded)
    ]
    for name in logs[0]:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-5)


# === What is refused ===


@pytest.mark.parametrize(
    ("losses", "weights", "message"),
    [
        (keras.losses.KLDivergence(), None, "distillation_losses"),
        (OFSD(), None, "with loss=None"),
        ([Squared()], [1.0, 2.0], "distillation_loss_weights"),
        ({"a": Squared()}, {"b": 1.0}, "distillation_loss_weights"),
        (None, 2.0, "Received: distillation_loss_weights=2.0"),
        (Squared(), -1.0, "finite number of at least 0"),
        (Squared(), float("inf"), "finite number of at least 0"),
        ({"loss": Squared()}, None, "Received: 'loss'"),
        ({"krc": OFSD(loss=Squared())}, None, "Received: 'krc'"),
        ({0: Squared()}, None, "Received: 0"),
        (FeatureDistillation("mse", "dense", "features"), None, "'dense'"),
    ],
)
def test_what_is_refused(losses, weights, message):
    with pytest.raises(ValueError, match=message):
        build(losses, weights)


def test_logits_of_other_positions_are_refused():
    nets = [
        keras.Sequential([keras.Input((size, size, 2)), keras.layers.Dense(3)])
        for size in (4, 8)
    ]
    with pytest.raises(ValueError, match=r"teacher logits \(None, 4, 4, 3\)"):
        CrossModalDistiller(*nets, "depth", "rgb", distillation_losses=Squared())


def test_a_term_of_the_method_keeps_its_name():
    with pytest.raises(ValueError, match="Received: 'teacher_to_teacher_proxy'"):
        build({"teacher_to_teacher_proxy": Squared()}, cls=C2KD, frozen=False)


def test_features_must_be_tapped():
    class OnFeatures(Squared):
        uses = "features"

    with pytest.raises(ValueError, match="'on_features'"):
        build(OnFeatures(), taps=None)


def test_features_of_images_are_those_of_the_tapped_layers():
    class Means(Squared):
        uses = "features"

        def compute_loss(self, teacher, student, labels=None, weight=None):
            return ops.mean(teacher) - ops.mean(student)

    nets = conv_net(1), conv_net(3, nested=True)
    model = CrossModalDistiller(
        *nets,
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage",
        student_features="backbone/stage",
        distillation_losses=Means(),
    )
    model.compile("sgd")
    rng = np.random.default_rng(0)
    x = {
        "depth": rng.normal(size=(4, 8, 8, 1)).astype("float32"),
        "rgb": rng.normal(size=(4, 8, 8, 3)).astype("float32"),
    }
    backbone = nets[1].get_layer("backbone")
    inner = keras.Model(backbone.input, backbone.get_layer("stage").output)
    outer = keras.Model(nets[0].input, nets[0].get_layer("stage").output)
    means = [
        float(ops.convert_to_numpy(ops.mean(net(x[modality]))))
        for net, modality in ((outer, "depth"), (inner, "rgb"))
    ]
    expected = means[0] - means[1]
    logs = evaluate(model, x, np.zeros(4, "int32"))
    np.testing.assert_allclose(logs["means"], expected, rtol=1e-4, atol=1e-6)
