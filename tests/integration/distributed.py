"""A short training with every kind of term, as one device or as many see it.

python distributed.py STRATEGY OUT [sync]: writes the loss curve and the final weights.
"""

import os
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_c2kd import C2KD, OFSD, distribution
from keras_c2kd.losses import KD
from tests.helpers import conv_net

BATCH, SAMPLES, HELD_OUT = 16, 48, 21


def split_the_cpu(devices):
    """Before the first operation: no backend can do it later."""
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    if keras.config.backend() == "tensorflow":
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        tf.config.set_logical_device_configuration(cpu, parts)


def data(count, replicas):
    """Pairs, some incomplete; the last batch is filled where devices ask for it."""
    rng = np.random.default_rng(0)
    labels = (np.arange(count) % 3).astype("int32")
    shades = labels[:, None, None, None] + rng.normal(size=(2, count, 8, 8, 1))
    inputs = {"depth": shades[0], "rgb": np.repeat(shades[1], 3, axis=-1)}
    inputs = {k: v.astype("float32") for k, v in inputs.items()}
    inputs["present"] = {"depth": np.arange(count) % 5 > 0, "rgb": np.ones(count, bool)}
    filled = count if replicas == 1 else -(-count // BATCH) * BATCH
    rows = np.arange(filled) % count
    weights = np.where(np.arange(filled) < count, filled / count, 0).astype("float32")
    if os.environ.get("TEST_COMPLETE"):
        del inputs["present"]
    batch = keras.tree.map_structure(lambda a: a[rows], (inputs, labels))
    return tf.data.Dataset.from_tensor_slices((*batch, weights)).batch(BATCH)


def built():
    """The same first weights in every process."""
    keras.utils.set_random_seed(1)
    return C2KD(
        conv_net(1),
        conv_net(3),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage",
        student_features="stage",
        distillation_losses={"kd": KD(), "selected_kd": OFSD(loss=KD())},
    )


def compiled(model):
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9), weighted_metrics=["accuracy"]
    )
    return model


def main(strategy, out, sync=None):
    one = os.environ.get("TEST_ONE_STEP")
    split_the_cpu(int(os.environ.get("TEST_DEVICES", "1")))
    distribution.initialize()
    with distribution.distribute(strategy) as replicas:
        model = built()
        if sync:
            distribution.synchronize_batch_norm(model)
        compiled(model)
        history = model.fit(
            data(SAMPLES, replicas.count),
            validation_data=None if one else data(HELD_OUT, replicas.count),
            steps_per_epoch=1 if one else None,
            epochs=1 if one else 3,
            verbose=0,
        ).history
    weights = {f"w{i:03d}": w for i, w in enumerate(model.get_weights())}
    np.savez(out, **history, **weights)


if __name__ == "__main__":
    main(*sys.argv[1:])
