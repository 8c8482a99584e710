"""How large, exact and fast is a student in each format?

    python benchmarks/export.py
    python benchmarks/export.py --encoder=resnet18 --size=224 --int8

The student is untrained: none of the three depends on its weights. Each figure is that
of the file's own runtime in a process of its own; latency is the median over a second,
of one sample, on CPU. Photos are of 640 x 480 pixels.
"""

import argparse
import tempfile

import keras
import numpy as np

from keras_c2kd import models
from keras_c2kd.export import (
    ExportError,
    export_student,
    image_preprocessing,
    waveform_preprocessing,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="small_resnet")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--int8", action="store_true")
    options = parser.parse_args()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    encoder, side = getattr(models, options.encoder), options.size
    student = encoder((side, side, 3), 8, scale=1 / 127.5, offset=-1.0)
    photos = rng.integers(0, 256, (4, 480, 640, 3)).astype("uint8")
    pixels = rng.uniform(0, 255, (4, side, side, 3)).astype("float32")
    show("pixels of the student's size", student, pixels, None, options.int8)
    shrink = image_preprocessing(side, height=480, width=640)
    show("uint8 photos of 640 x 480", student, photos, shrink, options.int8)
    show("photos of any size", student, photos, image_preprocessing(side), options.int8)
    hear = waveform_preprocessing(8000, 1.5, window=256, hop=160)
    listener = encoder(hear.output.shape[1:], 6, scale=0.1)
    waves = (rng.normal(size=(4, 12000)) * 0.1).astype("float32")
    show("waveforms of 1.5 s at 8 kHz", listener, waves, hear, options.int8)


def show(title, student, samples, preprocessing, int8):
    print(f"\n{title}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(
                export_student(
                    student, folder, samples, preprocessing=preprocessing, int8=int8
                )
            )
        except ExportError as error:
            print(error.report)


if __name__ == "__main__":
    main()
