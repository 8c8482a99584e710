"""Where the time of a C2KD step goes, by kind of operation.

    python benchmarks/profile_step.py
    KERAS_BACKEND=torch python benchmarks/profile_step.py

The backend's own profiler watches a few steps of `fit` (ResNet-18 pair, 64 x 64, batch
64); the time of each operation is added up by the first kind whose words are in its
name. What runs side by side on several cores is counted on each of them.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import re
import tempfile
from pathlib import Path

import keras
import numpy as np
import step_time
from absl import app, flags

FLAGS = flags.FLAGS
KINDS = {
    "convolution": r"conv(?!ert)",
    "batch normalization": r"batch_?norm",
    "rank correlation": r"xla_?launch|xlamustcompile",
    "proxies": r"proxy",
    "loss terms": r"softmax|log_softmax|one_?hot|kl_div|cross_entropy",
    "optimizer": r"sgd|assignadd|assignsub|momentum|foreach|optimizer",
    "metrics": r"mean_metric|accuracy|argmax",
    "pooling, ReLU, additions": r"pool|relu|threshold|add|mul|clamp",
}


def main(_) -> None:
    images = {"depth": step_time.batch_of(1), "rgb": step_time.batch_of(3)}
    labels = np.arange(FLAGS.batch_size, dtype="int32") % FLAGS.classes
    run = step_time.keras_side(step_time.c2kd(), images, labels)
    run()
    events = watched_by_torch if keras.config.backend() == "torch" else watched_by_xla
    times, names = collections.Counter(), collections.defaultdict(collections.Counter)
    for name, milliseconds in events(run):
        kind = kind_of(name)
        times[kind] += milliseconds
        names[kind][re.sub(r"[_.\d]+", "_", name.rsplit("/")[-1])] += milliseconds
    total = sum(times.values())
    print(
        f"{keras.config.backend()}, {FLAGS.encoder}, {FLAGS.image_size} px, batch ",
        end="",
    )
    print(f"{FLAGS.batch_size}: {total / FLAGS.steps:.0f} ms of work in a step")
    for kind, milliseconds in times.most_common():
        most = ", ".join(name for name, _ in names[kind].most_common(3))
        print(f"{milliseconds / total:7.1%}  {kind}  ({most})")


def kind_of(name):
    lowered = name.lower()
    for kind, words in KINDS.items():
        if re.search(words, lowered):
            return kind
    return "other"


def watched_by_torch(run):
    from torch import profiler

    with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as watched:
        run()
    for event in watched.key_averages():
        yield event.key, event.self_cpu_time_total / 1e3


def watched_by_xla(run):
    """Operations of TensorFlow or JAX, from the profile that both write."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    with tempfile.TemporaryDirectory() as folder:
        if keras.config.backend() == "tensorflow":
            import tensorflow as tf

            with tf.profiler.experimental.Profile(folder):
                run()
        else:
            import jax

            with jax.profiler.trace(folder):
                run()
        (path,) = Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        names = {key: meta.name for key, meta in plane.event_metadata.items()}
        for line in plane.lines:
            if not re.match("tf_Compute|tf_XLA", line.name):
                continue
            for event in line.events:
                name = names[event.metadata_id]
                if is_operation(name):
                    yield name, event.duration_ps / 1e9


def is_operation(name):
    inner = ("ExecutorState", "ThreadpoolListener", "ThunkExecutor", "Iterator")
    return not name.startswith(inner) and "::" not in name


if __name__ == "__main__":
    app.run(main)
