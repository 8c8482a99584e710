"""A heard digit teaches a written one: AV-MNIST, the smallest real pair.

    python recipes/av_mnist.py                          # on a generated miniature
    python recipes/av_mnist.py --data_dir=/data/av_mnist
    python recipes/av_mnist.py --teacher=image --student=audio --seeds=5
    python recipes/av_mnist.py --smoke                  # seconds; checks that all runs

`--data_dir` holds mnist.npz, as keras.datasets.mnist keeps it, and the folder
recordings/ of the Free Spoken Digit Dataset. Expected figures are in README.md here.
"""

from loading import data_dir, reader_flags
from recipe import Recipe, start

SCALING = {"image": (1 / 127.5, -1.0), "audio": (0.2, 1.0)}


def load():
    from keras_c2kd.data import read_av_mnist

    root = data_dir("av_mnist", samples=1000, smoke=120)
    return read_av_mnist(root, **reader_flags())


def modalities(_):
    from keras_c2kd.data import Digits, Spectrogram

    # Most spoken digits are shorter and are repeated: 65 frequencies, 76 frames.
    audio = Spectrogram(8000, 0.6, 128, 64, frequency_mask=8, time_mask=10)
    return {"image": Digits(), "audio": audio}


def crops():
    from keras_c2kd.data import Crops

    return Crops(smallest=0.8, mirror=0.0)  # a mirrored 2 is none


RECIPE = Recipe(
    "av_mnist",
    ("image", "audio"),
    load,
    modalities,
    SCALING,
    crops,
    defaults={
        "teacher": "audio",
        "student": "image",
        "batch_size": 32,
        "epochs": 10,
    },
)

if __name__ == "__main__":
    start(RECIPE)
