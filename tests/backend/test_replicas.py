"""Two replicas with half the batch each take the step of one with all of it."""

import keras
import pytest

from tests.integration.test_saving import run

BOTH_WAYS = """
import keras, numpy as np, tensorflow as tf
halves = [tf.config.LogicalDeviceConfiguration()] * 2
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, halves)
from tests.helpers import distiller, pairs

class Linear(keras.layers.Dense):
    pass  # a proxy without BatchNorm, whose statistics are those of a replica

def build():
    return distiller(teacher_proxy=Linear(3), student_proxy=Linear(3))

x, y = pairs()
if incomplete:  # as numbers: Keras adds replicas up when it looks at a first batch
    x["present"] = {"depth": (np.arange(24) % 5 > 0).astype("int8")}
dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(24)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    two = build()
one = build()
one.set_weights(two.get_weights())
logs = [model.fit(dataset, epochs=3, verbose=0).history for model in (one, two)]
for a, b in zip(one.get_weights(), two.get_weights(), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
if incomplete:  # not weighted: it counts what stands in for a missing input, too
    logs[0].pop("teacher_accuracy")
for name in logs[0]:
    np.testing.assert_allclose(
        logs[0][name], logs[1][name], rtol=1e-4, atol=1e-6, err_msg=name
    )
print("equal")
"""


@pytest.mark.slow
@pytest.mark.parametrize("incomplete", [False, True])
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="tf.distribute")
def test_mirrored_replicas_take_the_same_step(pytestconfig, incomplete):
    script = f"incomplete = {incomplete}\n{BOTH_WAYS}"
    assert run(script, cwd=pytestconfig.rootpath).endswith("equal")
