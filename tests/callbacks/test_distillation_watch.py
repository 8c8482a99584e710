import logging

import numpy as np
import pytest

from keras_c2kd import OFSD
from keras_c2kd.callbacks import DistillationWatch
from tests.helpers import distiller, pairs


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.WARNING, "keras_c2kd")
    return lambda: "\n".join(
        record.getMessage() for record in caplog.records if record.name == "keras_c2kd"
    )


@pytest.mark.parametrize(
    "threshold, words", [(0.999999, "not one sample"), (-1.0, "every sample")]
)
def test_a_selection_of_nothing_or_all_is_said(said, threshold, words):
    x, y = pairs()
    model = distiller(ofsd=OFSD(threshold=threshold))
    model.student_proxy.classifier.bias.assign([0.0, 1e3, 2e3])
    model.teacher_proxy.classifier.bias.assign(
        [1e3, 0.0, 2e3] if threshold > 0 else [0.0, 1e3, 2e3]
    )
    model.fit(x, y, epochs=1, callbacks=[DistillationWatch()], verbose=0)
    assert f"Epoch 1: OFSD selected {words}" in said()


def test_a_collapsed_student_is_said(said):
    x, y = pairs()
    model = distiller()
    model.student.layers[-1].bias.assign([0.0, 0.0, 1e6])
    watch = DistillationWatch((x, y))
    model.fit(x, y, callbacks=[watch], verbose=0)
    assert "Epoch 1: the student says class 2 of all 24 samples." in said()


def test_nothing_is_said_of_a_training_that_works(said):
    x, y = pairs()
    model = distiller()
    model.fit(x, y, epochs=3, batch_size=8, verbose=0)
    history = model.fit(
        x, y, batch_size=8, callbacks=[DistillationWatch((x, y))], verbose=0
    )
    assert 0.0 < np.mean(history.history["selected"]) < 1.0
    assert said() == ""
