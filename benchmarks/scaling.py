"""How a step's cost grows: with classes, with the batch, with pixels.

    python benchmarks/scaling.py
    KERAS_BACKEND=jax python benchmarks/scaling.py --over=classes

The two networks are as small as can be (one hidden layer of 64, or one convolution),
so that what C2KD adds to training them on their labels is what one sees. Both sides
take turns, as in step_time.py.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import step_time
from absl import app, flags
from keras import layers

FLAGS = flags.FLAGS
flags.DEFINE_multi_enum(
    "over",
    ["classes", "batch", "pixels"],
    ["classes", "batch", "pixels"],
    "What grows.",
)
CLASSES = (6, 28, 100, 309, 1000, 4000, 21841)  # 64 samples
BATCHES = (16, 64, 256, 1024)  # 100 classes
SIDES = (32, 64, 128, 256)  # 4 samples, 40 classes


def main(_) -> None:
    if "classes" in FLAGS.over:
        for classes in CLASSES:
            row(f"64 samples, {classes} classes", (64,), 64, classes)
    if "batch" in FLAGS.over:
        for batch in BATCHES:
            row(f"{batch} samples, 100 classes", (64,), batch, 100)
    if "pixels" in FLAGS.over:
        for side in SIDES:
            row(
                f"4 samples, {side} x {side} pixels, 40 classes", (side, side, 8), 4, 40
            )


def row(name, shape, batch, classes):
    rng = np.random.default_rng(0)
    data = {
        m: rng.standard_normal((batch, *shape), "float32") for m in ("depth", "rgb")
    }
    labels = rng.integers(0, classes, (batch, *shape[:-1])).astype("int32")
    steps = 5
    joint = step_time.joint(net(shape, classes), net(shape, classes))
    c2kd = step_time.c2kd(net(shape, classes), net(shape, classes), "features")
    sides = {
        "joint": step_time.keras_side(joint, data, labels, steps),
        "C2KD": step_time.keras_side(c2kd, data, labels, steps),
    }
    seconds = step_time.take_turns(sides, blocks=7, verbose=0)
    joint, c2kd = (1e3 * np.median(times) / steps for times in seconds.values())
    print(
        f"{keras.config.backend()}, {name}: joint {joint:.1f} ms, C2KD {c2kd:.1f} ms, "
        f"{c2kd - joint:.1f} ms more",
        flush=True,
    )


def net(shape, classes):
    x = inputs = keras.Input(shape)
    if len(shape) == 1:
        x = layers.Dense(64, activation="relu", name="features")(x)
    else:
        x = layers.Conv2D(64, 3, padding="same", activation="relu", name="features")(x)
    return keras.Model(inputs, layers.Dense(classes)(x))


if __name__ == "__main__":
    app.run(main)
