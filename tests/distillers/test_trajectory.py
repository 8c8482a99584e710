"""Six steps of the whole method, against the authors' released implementation."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_c2kd import C2KD, OFSD
from tests.helpers import relative_error


def encoder(width, weights, prefix):
    inputs = keras.Input((width,))
    x = layers.Dense(256, activation="relu", name="features")(inputs)
    model = keras.Model(inputs, layers.Dense(6, name="logits")(x))
    model.set_weights(
        [
            weights[f"{prefix}/{name}"]
            for name in ("l.weight", "l.bias", "fc.weight", "fc.bias")
        ]
    )
    return model


def proxy_weights(weights, prefix):
    names = ("weight", "bias", "running_mean", "running_var")
    norm = [weights[f"{prefix}/layer.1.{name}"] for name in names]
    classifier = [weights[f"{prefix}/fc.weight"], weights[f"{prefix}/fc.bias"]]
    return [weights[f"{prefix}/layer.0.weight"], *norm, *classifier]


@pytest.fixture
def case(golden):
    reference = golden("trajectory")
    model = C2KD(
        encoder(12, reference, "initial/teacher"),
        encoder(20, reference, "initial/student"),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="features",
        student_features="features",
        ofsd=OFSD(non_target="zero_logit"),
    )
    for role in ("teacher", "student"):
        proxy = getattr(model, f"{role}_proxy")
        proxy.set_weights(proxy_weights(reference, f"initial/{role}_proxy"))
    model.compile(
        keras.optimizers.SGD(
            float(reference["learning_rate"]), momentum=float(reference["momentum"])
        )
    )
    return model, reference


def test_six_steps_end_where_the_authors_end(case):
    model, reference = case
    batches = zip(
        reference["teacher_inputs"],
        reference["student_inputs"],
        reference["labels"],
        strict=True,
    )
    losses, selected = [], []
    for depth, rgb, labels in batches:
        inputs = {"depth": depth, "rgb": rgb}
        logs = model.train_on_batch(inputs, labels, return_dict=True)
        losses.append(float(logs["loss"]))
        selected.append(round(float(logs["selected"]) * len(labels)))
        model.reset_metrics()
    np.testing.assert_allclose(losses, reference["losses"], rtol=1e-4)
    np.testing.assert_array_equal(selected, reference["selected"])
    assert_final_weights(model, reference, batch=16, steps=6)


def test_fit_ends_where_the_authors_end(case):
    model, reference = case
    inputs = {
        "depth": reference["teacher_inputs"].reshape(-1, 12),
        "rgb": reference["student_inputs"].reshape(-1, 20),
    }
    labels = reference["labels"].reshape(-1)
    model.fit(inputs, labels, batch_size=16, shuffle=False, verbose=0)
    assert_final_weights(model, reference, batch=16, steps=6)


def assert_final_weights(model, reference, batch, steps):
    for role in ("teacher", "student"):
        names = ("l.weight", "l.bias", "fc.weight", "fc.bias")
        theirs = [reference[f"final/{role}/{name}"] for name in names]
        for name, ours, other in zip(
            names, getattr(model, role).get_weights(), theirs, strict=True
        ):
            assert relative_error(ours, other) < 1e-4, (role, name)
        proxy = getattr(model, f"{role}_proxy").get_weights()
        theirs = proxy_weights(reference, f"final/{role}_proxy")
        # The reference's moving variance is unbiased; its start, 1, is not scaled.
        start = 0.9**steps
        proxy[4] = start + (proxy[4] - start) * batch / (batch - 1)
        for index, (ours, other) in enumerate(zip(proxy, theirs, strict=True)):
            assert relative_error(ours, other) < 1e-4, (role, index)
