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

from absl import flags
from loading import data_dir, reader_flags
from recipe import FLAGS, Recipe, start

flags.DEFINE_enum("depth", "depth_bfx", ["depth_bfx", "depth"], "Holes filled, or raw.")

# Values as the sensors give them go in; the model scales them to about [-1, 1].
SCALING = {"rgb": (1 / 127.5, -1.0), "depth": (1 / 4.0, -1.0)}


def load():
    from keras_c2kd.data import read_sun_rgbd

    root = data_dir("sun_rgbd", samples=1600, smoke=80)
    return read_sun_rgbd(
        root, depth=FLAGS.depth, on_error=FLAGS.on_error, **reader_flags()
    )


def modalities(_):
    from keras_c2kd.data import Depth, Rgb

    return {"rgb": Rgb(FLAGS.image_size), "depth": Depth(FLAGS.image_size)}


RECIPE = Recipe(
    "sun_rgbd",
    ("rgb", "depth"),
    load,
    modalities,
    SCALING,
    defaults={"teacher": "depth", "student": "rgb"},
)

if __name__ == "__main__":
    start(RECIPE)
