"""Peak memory of C2KD on dense logits, NYU Depth V2's sizes: a fresh process each.

    python benchmarks/segmentation_memory.py
    python benchmarks/segmentation_memory.py --encoders resnet18 --batch_size 2

Each process trains C2KD for a few steps on random images and labels with `fit`, RGB as
the student and depth as the teacher, and reports the largest resident set it ever had.
`import` is the same process without a model: Python, Keras and the backend. `krc` is
the rank correlation alone, on logits of that size.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

ENCODERS = ("small_resnet", "resnet18")


def peak() -> float:
    """GiB, the most this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def logits(options):
    import numpy as np

    shape = (options.batch_size, options.height, options.width, options.classes)
    return np.random.default_rng(0).standard_normal(shape, "float32")


def correlate(options) -> dict:
    """The rank correlation of two sets of logits, nothing else."""
    import keras

    from keras_c2kd.ops import kendall_rank_correlation

    function = kendall_rank_correlation
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        function = tf.function(function)
    elif keras.config.backend() == "jax":
        import jax

        function = jax.jit(function)
    x = keras.ops.convert_to_tensor(logits(options))
    y = -x
    before = peak()
    times = []
    for _ in range(options.steps):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(function(x, y))
        times.append(time.perf_counter() - start)
    return {"peak": peak(), "added": peak() - before, "seconds": min(times)}


def train(encoder: str, options) -> dict:
    """A few steps of the whole method."""
    import keras
    import numpy as np

    from keras_c2kd import C2KD, OFSD, models

    imported = peak()
    keras.utils.set_random_seed(0)
    size = options.height, options.width
    build = getattr(models, encoder)
    teacher, student = (
        models.segmenter((*size, channels), options.classes, build)
        for channels in (1, 3)
    )
    model = C2KD(
        teacher,
        student,
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage3",
        student_features="stage3",
        ofsd=OFSD(select=options.select),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=255
    )
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss=loss)
    rng, count = np.random.default_rng(0), options.batch_size * options.steps
    data = {
        "depth": rng.uniform(0, 1, (count, *size, 1)).astype("float32"),
        "rgb": rng.uniform(0, 1, (count, *size, 3)).astype("float32"),
    }
    labels = rng.integers(0, options.classes, (count, *size)).astype("int32")
    labels[:, : size[0] // 8] = 255
    times = Times()
    model.fit(data, labels, options.batch_size, verbose=0, callbacks=[times.callback()])
    return {"peak": peak(), "import": imported, "seconds": min(times.steps)}


class Times:
    """Seconds of each step; the first holds the compilation."""

    def __init__(self):
        self.steps = []

    def callback(self):
        import keras

        def begin(batch, logs):
            self.start = time.perf_counter()

        def end(batch, logs):
            self.steps.append(time.perf_counter() - self.start)

        return keras.callbacks.LambdaCallback(
            on_train_batch_begin=begin, on_train_batch_end=end
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoders", nargs="*", default=[*ENCODERS, "krc"])
    parser.add_argument("--batch_size", type=int, default=4)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=640)
    parser.add_argument("--classes", type=int, default=40)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--select", default="position")
    parser.add_argument("--one", help="measured in this process, printed as JSON")
    options = parser.parse_args()
    if options.one:
        done = (
            correlate(options) if options.one == "krc" else train(options.one, options)
        )
        print(json.dumps(done))
        return
    for encoder in options.encoders:
        command = [sys.executable, *sys.argv, "--one", encoder]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        figures = json.loads(done.stdout.splitlines()[-1])
        text = ", ".join(f"{name} {value:.2f}" for name, value in figures.items())
        print(f"{encoder}: {text} (GiB; seconds per step)", flush=True)


if __name__ == "__main__":
    main()
