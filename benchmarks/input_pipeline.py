"""Does the input pipeline keep up? Three ratios, and memory over twenty epochs.

    python benchmarks/input_pipeline.py            # minutes; TensorFlow on a CPU
    python benchmarks/input_pipeline.py --scenes=16 --blocks=2 --nofit

1. the pipeline alone, on JPEG and 16-bit PNG of SUN RGB-D's sizes, against nothing but
   `tf.io.decode_*` of the same files: at least 0.8
2. from the cache against uncached: at least 5
3. `fit` through the pipeline against `fit` on the same batches held in memory, with a
   ResNet-18 pair: cached at 64 x 64 at least 0.95; uncached at 224 x 224

Blocks of both sides alternate; a ratio is that of the best ones.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import gc
import resource
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

from keras_c2kd import C2KD
from keras_c2kd.data import Depth, Rgb, Samples, decode, encode_sun_depth, make_batches
from keras_c2kd.data.rooms import ROOM_CLASSES, furnish, photograph
from keras_c2kd.models import resnet18

FLAGS = flags.FLAGS
flags.DEFINE_integer("scenes", 64, "Pairs of files; an epoch reads each eight times.")
flags.DEFINE_integer("blocks", 5, "Measurements of each side.")
flags.DEFINE_bool("fit", True, "Measure `fit` too, which takes minutes.")
WIDTH, HEIGHT = 640, 480


def main(_) -> None:
    with tempfile.TemporaryDirectory() as folder:
        samples = write_scenes(Path(folder))
        for size in (64, 224):
            pipeline_alone(samples, size)
        for size in (64, 224):
            cache_against_files(samples, size, Path(folder))
        if FLAGS.fit:
            fit_against_memory(samples, 64, 64, Path(folder) / "cache_64", steps=6)
            fit_against_memory(samples, 224, 16, None, steps=8)
        memory_over_epochs(samples, Path(folder) / "cache_64")


def write_scenes(folder):
    """Rooms in files of the sizes that a Kinect writes."""
    bar, paths = keras.utils.Progbar(FLAGS.scenes, unit_name="scene"), []
    for number in range(FLAGS.scenes):
        rng = np.random.default_rng([7, number])
        room, camera = furnish(ROOM_CLASSES[number % len(ROOM_CLASSES)], rng)
        picture = photograph(room, camera, rng, WIDTH, HEIGHT)
        rgb, depth = folder / f"{number}.jpg", folder / f"{number}.png"
        rgb.write_bytes(tf.io.encode_jpeg(picture.rgb, quality=92).numpy())
        depth.write_bytes(encode_sun_depth(picture.depth))
        paths.append((str(rgb), str(depth)))
        bar.update(number + 1)
    # An epoch of four batches would measure how a pipeline starts.
    rgb, depth = (np.array(column) for column in zip(*8 * paths, strict=True))
    labels = np.arange(len(rgb), dtype="int32") % 8
    ids = tuple(map(str, range(len(rgb))))
    return Samples(ids, {"rgb": rgb, "depth": depth}, labels, ROOM_CLASSES)


def decoded(samples, size, cache=None):
    modalities = {"rgb": Rgb(size), "depth": Depth(size)}
    return decode(samples, modalities, cache_dir=cache, memory=0)


def pipeline_alone(samples, size):
    def nothing_but_decode(rgb, depth):
        image = tf.io.decode_jpeg(tf.io.read_file(rgb), channels=3)
        return image, tf.io.decode_png(tf.io.read_file(depth), dtype=tf.uint16)

    paths = tf.data.Dataset.from_tensor_slices(tuple(samples.sources.values()))
    bare = paths.map(nothing_but_decode, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    ours = make_batches(decoded(samples, size), 16, training=True)
    ours, bare = alternate(lambda: drain(ours), lambda: drain(bare))
    print(f"pipeline / bare decoding, {size} px: {bare / ours:.2f}")


def cache_against_files(samples, size, folder):
    cached = make_batches(
        decoded(samples, size, folder / f"cache_{size}"), 16, training=True
    )
    files = make_batches(decoded(samples, size), 16, training=True)
    cached, files = alternate(lambda: drain(cached), lambda: drain(files))
    print(f"cached / uncached, {size} px: {files / cached:.1f}")


def fit_against_memory(samples, size, batch, cache, steps):
    model = C2KD(
        resnet18((size, size, 1), 8),
        resnet18((size, size, 3), 8),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage3",
        student_features="stage3",
    )
    model.compile(keras.optimizers.SGD(1e-3, momentum=0.9))
    source = decoded(samples, size, cache)
    through = make_batches(source, batch, training=True).repeat()
    held = list(make_batches(source, batch, training=True))
    held = tf.data.Dataset.from_tensor_slices(
        tf.nest.map_structure(lambda *parts: tf.stack(parts), *held)
    ).repeat()

    def fit(data):
        model.fit(data, steps_per_epoch=steps, verbose=0)

    ours, memory = alternate(lambda: fit(through), lambda: fit(held))
    kind = "from the cache" if cache else "uncached"
    print(f"fit through the pipeline / from memory, {size} px {kind}: ", end="")
    print(
        f"{memory / ours:.3f} of the step rate ({1e3 * (ours - memory) / steps:.0f} ms "
    )
    print(f"of {1e3 * memory / steps:.0f} ms a step)")


def memory_over_epochs(samples, cache):
    """Resident memory after epoch 3 and after epoch 20, of all storages."""
    for name, source in (
        ("cache", decoded(samples, 64, cache)),
        ("files", decoded(samples, 64)),
    ):
        batches, sizes = make_batches(source, 16, training=True), []
        for _ in range(20):
            drain(batches)
            gc.collect()
            sizes.append(resident())
        growth = sizes[-1] / sizes[2] - 1
        print(f"memory from epoch 3 to 20, {name}: {sizes[2]:.0f} MiB {growth:+.1%}")


def resident():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def drain(batches, epochs=1):
    for _ in batches.repeat(epochs):
        pass


def alternate(one, two):
    """Fewest seconds of both, in turn, after one of each that is not counted.

    Not medians: now and then TensorFlow runs a whole block on one core of two,
    whichever side it is.
    """
    times = ([], [])
    for block in range(1 + FLAGS.blocks):
        for side, run in enumerate((one, two)):
            start = time.perf_counter()
            run()
            if block:
                times[side].append(time.perf_counter() - start)
    return tuple(map(min, times))


if __name__ == "__main__":
    app.run(main)
