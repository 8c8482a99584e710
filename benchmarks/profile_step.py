"""Where the time of a C2KD step goes, by kind of operation.

    python benchmarks/profile_step.py
    KERAS_BACKEND=jax python benchmarks/profile_step.py --image_size=96

The backend's own profiler watches a few steps (ResNet-18 pair, 64 x 64, batch 64); the
time of each operation is added up by the first kind whose words are in its name. What
runs side by side on several cores is counted on each of them. XLA names its operations
by number: which layer they belong to is read from the program that it dumps.

The rank correlation is also timed by itself, as a program of its own on logits of the
same size, since torch's profile does not say whose the operations are.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import collections
import re
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import step_time
from absl import app, flags
from kendall import compiled

from keras_c2kd.ops import kendall_rank_correlation

FLAGS = flags.FLAGS
KINDS = {
    "rank correlation": r"_correlation|cpuexecutable",
    "proxies": r"proxy|mm$|linear",
    "loss terms": r"ofsd|softmax|one_?hot|cross_?entropy|nll|aten::(log|exp)",
    "batch normalization": r"batch_?norm",
    "convolution": r"conv(?!ert)",
    "optimizer": r"sgd|assign(add|sub)|_foreach",
    "metrics": r"arg_?max|div_no_nan|accuracy",
    "pooling, ReLU, additions": r"pool|re_?lu|threshold|add|clamp",
}


DUMP = tempfile.TemporaryDirectory()


def main(_) -> None:
    if keras.config.backend() == "jax":  # which has not started XLA yet
        options = f" --xla_dump_to={DUMP.name} --xla_dump_hlo_as_text"
        os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + options
    images = {"depth": step_time.batch_of(1), "rgb": step_time.batch_of(3)}
    labels = np.arange(FLAGS.batch_size, dtype="int32") % FLAGS.classes
    run = step_time.keras_side(step_time.c2kd(), images, labels)
    run()
    wall = milliseconds(run) / FLAGS.steps
    watch = {"tensorflow": tensorflow_events, "jax": jax_events, "torch": torch_events}
    times, names = collections.Counter(), collections.defaultdict(collections.Counter)
    for name, spent in watch[keras.config.backend()](run):
        kind = kind_of(name)
        times[kind] += spent
        names[kind][re.sub(r"[_.\d]+", "_", name.rsplit("/")[-1])] += spent
    total = sum(times.values())
    print(
        f"{keras.config.backend()}, {FLAGS.encoder}, {FLAGS.image_size} px, batch "
        f"{FLAGS.batch_size}: {wall:.0f} ms a step, {total / FLAGS.steps:.0f} ms of "
        "work on all cores"
    )
    for kind, spent in times.most_common():
        most = ", ".join(name for name, _ in names[kind].most_common(3))
        print(f"{spent / total:8.2%}  {kind}  ({most})")
    alone = rank_correlation()
    print(f"{alone / wall:8.2%}  of a step: a call of the rank correlation alone")


def kind_of(name):
    lowered = name.lower()
    for kind, words in KINDS.items():
        if re.search(words, lowered):
            return kind
    return "other"


def milliseconds(function, times=3):
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return 1e3 * statistics.median(seconds)


def rank_correlation():
    shape = (2, FLAGS.batch_size, FLAGS.classes)
    x, y = np.random.default_rng(0).standard_normal(shape, "float32")
    x, y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)

    program = compiled()(kendall_rank_correlation)
    program(x, y)
    return milliseconds(lambda: program(x, y), 31)


def torch_events(run):
    from torch import profiler

    with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as watched:
        run()
    for event in watched.key_averages():
        yield event.key, event.self_cpu_time_total / 1e3


def tensorflow_events(run):
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            run()
        events = list(events_of(folder, "tf_Compute"))
    inner = ("ExecutorState", "ThreadpoolListener", "ExecutorDoneCallback")
    yield from (event for event in events if not event[0].startswith(inner))


def jax_events(run):
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            run()
        events = list(events_of(folder, "tf_XLA"))
    (step,) = Path(DUMP.name).glob("*jit_train_step*cpu_after_optimizations.txt")
    pattern = r'^\s*(?:ROOT )?%(\S+) = .*op_name="([^"]*)"'
    layers = dict(re.findall(pattern, step.read_text(), re.MULTILINE))
    yield from ((layers[name], spent) for name, spent in events if name in layers)


def events_of(folder, line_name):
    """Names and milliseconds in the profile that TensorFlow and JAX write."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    (path,) = Path(folder).rglob("*.xplane.pb")
    for plane in xplane_pb2.XSpace.FromString(path.read_bytes()).planes:
        names = {key: meta.name for key, meta in plane.event_metadata.items()}
        for line in plane.lines:
            if line.name.startswith(line_name):
                for event in line.events:
                    yield names[event.metadata_id], event.duration_ps / 1e9


if __name__ == "__main__":
    app.run(main)
