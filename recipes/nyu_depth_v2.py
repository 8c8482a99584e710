"""Depth teaches colour, pixel by pixel: semantic segmentation on NYU Depth V2.

    python recipes/nyu_depth_v2.py                      # on a generated miniature
    python recipes/nyu_depth_v2.py --data_dir=/data/nyu --image_size=480 \
        --batch_size=4 --encoder=resnet18 --cache_dir=/data/nyu_cache
    python recipes/nyu_depth_v2.py --select=sample      # OFSD by image, not by pixel
    python recipes/nyu_depth_v2.py --teacher=rgb --student=depth
    python recipes/nyu_depth_v2.py --smoke              # seconds; checks that all runs

`--data_dir` holds nyu_depth_v2_labeled.mat, splits.mat and classMapping40.mat as they
are downloaded; `--image_size` is the height, the width is 4/3 of it. Void pixels are in
no term and no figure. At the full size, batch 4, a step of C2KD takes less than 6 GiB
(benchmarks/README.md).
"""

import tasks
from loading import data_dir, reader_flags
from recipe import FLAGS, Recipe, start

# Values as the sensors give them go in; the model scales them to about [-1, 1].
SCALING = {"rgb": (1 / 127.5, -1.0), "depth": (1 / 4.0, -1.0)}


def load():
    from keras_c2kd.data.nyu_depth_v2 import read_nyu_depth_v2

    root = data_dir("nyu_depth_v2", samples=300, smoke=40)
    return read_nyu_depth_v2(root, **reader_flags())


def modalities(_):
    from keras_c2kd.data.nyu_frames import NyuDepth, NyuLabels, NyuRgb

    size = FLAGS.image_size, round(FLAGS.image_size * 4 / 3)
    return {"rgb": NyuRgb(*size), "depth": NyuDepth(*size), "labels": NyuLabels(*size)}


RECIPE = Recipe(
    "nyu_depth_v2",
    ("rgb", "depth"),
    load,
    modalities,
    SCALING,
    task=tasks.Segmentation(),
    defaults={"teacher": "depth", "student": "rgb", "image_size": 60},
)

if __name__ == "__main__":
    start(RECIPE)
