import keras
import numpy as np
import scipy.stats

from keras_c2kd.metrics import KendallRankCorrelation


def test_is_the_mean_of_scipys_over_batches(rng):
    x, y = rng.normal(size=(2, 30, 8)).astype("float32")
    metric = KendallRankCorrelation()
    metric.update_state(x[:10], y[:10])
    metric.update_state(x[10:], y[10:])
    expected = np.mean(
        [scipy.stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)]
    )
    np.testing.assert_allclose(float(metric.result()), expected, atol=1e-6)


def test_sample_weight_chooses_rows():
    metric = KendallRankCorrelation()
    metric.update_state(
        [[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [2.0, 1.0]], sample_weight=[1.0, 0.0]
    )
    assert float(metric.result()) == 1.0


def test_config_round_trip():
    metric = KendallRankCorrelation(variant="a", name="tau")
    config = keras.saving.serialize_keras_object(metric)
    copy = keras.saving.deserialize_keras_object(config)
    assert copy.get_config() == metric.get_config()
    copy.update_state([[1.0, 1.0, 2.0]], [[1.0, 2.0, 3.0]])
    np.testing.assert_allclose(float(copy.result()), 2 / 3, rtol=1e-6)
