import numpy as np
from keras import ops

from keras_c2kd.ops import batch_mean


def test_weights_leave_the_denominator_alone():
    values = np.array([1.0, 2.0, 3.0, 4.0], "float32")
    assert float(batch_mean(values)) == 2.5
    weights = np.array([2.0, 0.0, 0.0, 0.0], "float32")
    assert float(batch_mean(values, weights)) == 0.5
    assert float(batch_mean(values, weights[:, None])) == 0.5


def test_a_masked_position_leaves_the_denominator_and_may_be_nan():
    values = np.array([[1.0, np.nan], [3.0, np.nan]], "float32")
    mask = np.array([[True, False], [True, False]])
    assert float(batch_mean(values, None, mask)) == 2.0
    assert float(batch_mean(values, np.array([1.0, 0.0], "float32"), mask)) == 0.5


def test_a_mean_over_nothing_is_zero():
    assert float(batch_mean(np.ones(3, "float32"), None, np.zeros(3, bool))) == 0.0
    assert float(batch_mean(ops.zeros((0,)))) == 0.0
