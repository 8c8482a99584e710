"""What a C2KD step costs: against training both networks on labels, and PyTorch.

    python benchmarks/step_time.py                            # 64 x 64, batch 64
    python benchmarks/step_time.py --image_size=224 --batch_size=16 --steps=1
    KERAS_BACKEND=jax python benchmarks/step_time.py --encoder=small_resnet --notorch

The floor is joint supervised training in plain Keras: the same forward and backward
passes, two cross-entropies, two accuracies, no proxies and no distillation. A second
model of that kind, measured in the same turn, is the control: what it differs from the
first is noise. The PyTorch loop of the method as published is in torch_loop.py.

Blocks of all sides take turns, in an order that rotates; ratios are per turn, and their
median and quartiles are printed.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time

import keras
import numpy as np
from absl import app, flags

from keras_c2kd import C2KD, models

FLAGS = flags.FLAGS
flags.DEFINE_enum("encoder", "resnet18", ["resnet18", "small_resnet"], "Both networks.")
flags.DEFINE_integer("image_size", 64, "Side in pixels.")
flags.DEFINE_integer("batch_size", 64, "Samples a step.")
flags.DEFINE_integer("classes", 8, "Classes.")
flags.DEFINE_integer("blocks", 15, "Turns that are counted.")
flags.DEFINE_integer("steps", 3, "Steps in a block.")
flags.DEFINE_string("policy", "float32", "Keras dtype policy.")
flags.DEFINE_bool("torch", True, "Measure the PyTorch loop too (a CPU; ResNet-18).")


def main(_) -> None:
    images = {"depth": batch_of(1), "rgb": batch_of(3)}
    labels = np.arange(FLAGS.batch_size, dtype="int32") % FLAGS.classes
    in_float32 = keras_side(joint(), images, labels)
    keras.config.set_dtype_policy(FLAGS.policy)
    sides = {
        "joint": keras_side(joint(), images, labels),
        "control": keras_side(joint(), images, labels),
        "C2KD": keras_side(c2kd(), images, labels),
    }
    if FLAGS.policy != "float32":
        sides["float32"] = in_float32
    if FLAGS.torch and FLAGS.encoder == "resnet18":
        sides["PyTorch"] = torch_side(images, labels)
    seconds = take_turns(sides)
    step = 1e3 * np.median(seconds["joint"]) / FLAGS.steps
    print(
        f"{keras.config.backend()}, {FLAGS.encoder}, {FLAGS.image_size} px, batch "
        f"{FLAGS.batch_size}, {FLAGS.classes} classes, {FLAGS.policy}: "
        f"a step of joint training takes {step:.0f} ms"
    )
    report("control / joint", seconds["control"] / seconds["joint"])
    report("C2KD / joint", seconds["C2KD"] / seconds["joint"])
    if "float32" in sides:
        report("joint in float32 / joint", seconds["float32"] / seconds["joint"])
    if "PyTorch" in sides:
        report("PyTorch / C2KD (sample rate)", seconds["PyTorch"] / seconds["C2KD"])


def report(name, ratios):
    low, middle, high = np.percentile(ratios, (25, 50, 75))
    print(f"{name:30} {middle:.3f}   quartiles {low:.3f} to {high:.3f}")


def batch_of(channels):
    shape = (FLAGS.batch_size, FLAGS.image_size, FLAGS.image_size, channels)
    return np.random.default_rng(channels).standard_normal(shape, "float32")


def networks():
    build = getattr(models, FLAGS.encoder)
    size = (FLAGS.image_size, FLAGS.image_size)
    return build((*size, 1), FLAGS.classes), build((*size, 3), FLAGS.classes)


def optimizer():
    return keras.optimizers.SGD(1e-3, momentum=0.9)


def joint(teacher=None, student=None):
    """Both networks, each on its labels."""
    if teacher is None:
        teacher, student = networks()
    inputs = {
        name: keras.Input(model.input_shape[1:], name=name)
        for name, model in (("depth", teacher), ("rgb", student))
    }
    model = keras.Model(
        inputs,
        {"teacher": teacher(inputs["depth"]), "student": student(inputs["rgb"])},
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    names = ("teacher", "student")
    model.compile(
        optimizer(),
        {name: loss for name in names},
        metrics={name: ["accuracy"] for name in names},
    )
    return model


def c2kd(teacher=None, student=None, features="stage3"):
    if teacher is None:
        teacher, student = networks()
    model = C2KD(
        teacher,
        student,
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features=features,
        student_features=features,
    )
    model.compile(optimizer(), metrics=["accuracy"])
    return model


def keras_side(model, images, labels, steps=None):
    """A function that trains for a block of steps, on one batch that is held."""
    if not isinstance(model, C2KD):
        labels = {"teacher": labels, "student": labels}

    def run():
        # Not `fit`, whose new iterator costs some of the short blocks a core.
        for _ in range(steps or FLAGS.steps):
            model.train_on_batch(images, labels)

    return run


def torch_side(images, labels):
    import torch
    from torch_loop import Loop

    loop = Loop(1, 3, FLAGS.classes)
    depth, rgb = (
        torch.tensor(part.transpose(0, 3, 1, 2).copy()) for part in images.values()
    )
    labels = torch.tensor(labels, dtype=torch.int64)

    def run():
        for _ in range(FLAGS.steps):
            loop.step(depth, rgb, labels)

    return run


def take_turns(sides, blocks=None, verbose=1):
    """Seconds per block of each side, after two turns that are not counted."""
    turns = 2 + (blocks or FLAGS.blocks)
    names = list(sides)
    seconds = {name: [] for name in names}
    bar = keras.utils.Progbar(turns, unit_name="turn", verbose=verbose)
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            sides[name]()
            if turn >= 2:
                seconds[name].append(time.perf_counter() - start)
        bar.update(1 + turn)
    return {name: np.array(values) for name, values in seconds.items()}


if __name__ == "__main__":
    app.run(main)
