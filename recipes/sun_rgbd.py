"""Depth teaches colour: scene classification on SUN RGB-D.

    python recipes/sun_rgbd.py                          # on a generated miniature
    python recipes/sun_rgbd.py --data_dir=/data/sunrgbd
    python recipes/sun_rgbd.py --teacher=rgb --student=depth
    python recipes/sun_rgbd.py --seeds=5                # mean and deviation, paired
    python recipes/sun_rgbd.py --smoke                  # seconds; checks that all runs

`--data_dir` holds SUNRGBD/ and SUNRGBDtoolbox/ as they are downloaded. Without it a
miniature is generated once, in the same layout, and read like the real thing. What a
run prints, and how long it takes, is in the README.
"""

import quiet  # noqa: F401, I001 - before whatever imports TensorFlow

from absl import app, flags
from runner import FLAGS, Modality, Splits, bar, cache_dir, run

flags.DEFINE_string("data_dir", None, "SUN RGB-D as downloaded; none: the miniature.")
flags.DEFINE_enum("depth", "depth_bfx", ["depth_bfx", "depth"], "Holes filled, or raw.")

# Values as the sensors give them go in; the model scales them to about [-1, 1].
MODALITIES = {
    "rgb": Modality(channels=3, scale=1 / 127.5, offset=-1.0),
    "depth": Modality(channels=1, scale=1 / 4.0, offset=-1.0),
}


def load() -> Splits:
    """Train, validation and test; validation is held out of train, by class."""
    from keras_c2kd.data import (
        SUN_RGBD_DECODERS,
        decode_pairs,
        read_sun_rgbd,
        write_sun_rgbd,
    )

    root = FLAGS.data_dir
    if root is None:
        scenes = 80 if FLAGS.smoke else 1600
        root = cache_dir(f"sun_rgbd_miniature_{scenes}")
        write_sun_rgbd(root, num_scenes=scenes, progress=bar("miniature, scenes"))
    index = read_sun_rgbd(root, depth=FLAGS.depth, on_error=FLAGS.on_error)
    train, validation = index["train"].split(FLAGS.validation_fraction, seed=0)
    parts = {"train": train, "validation": validation, "test": index["test"]}
    decoded = {
        name: decode_pairs(
            part,
            SUN_RGBD_DECODERS,
            FLAGS.image_size,
            on_error=FLAGS.on_error,
            progress=bar(f"reading {name}"),
        )
        for name, part in parts.items()
    }
    return Splits(**decoded, notes=index["train"].notes + index["test"].notes)


def main(_) -> None:
    run("sun_rgbd", load, MODALITIES)


if __name__ == "__main__":
    flags.FLAGS.set_default("teacher", "depth")
    flags.FLAGS.set_default("student", "rgb")
    app.run(main)
