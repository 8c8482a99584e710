"""A sound teaches a picture: 28 events of everyday life, on AVE.

    python recipes/ave.py                          # on a generated miniature
    python recipes/ave.py --data_dir=/data/ave --image_size=224 \\
        --encoder=resnet18 --batch_size=64 --epochs=100 --learning_rate=0.01
    python recipes/ave.py --teacher=image --student=audio
    python recipes/ave.py --smoke                  # seconds; checks that all runs

`--data_dir` holds trainSet.txt, valSet.txt, testSet.txt, Image-01-FPS-SE/ and
AudioWAV-SE/; the latter two are made from AVE/ by
`python -m keras_c2kd.data.prepare ave --data_dir=...`. Videos vanish from YouTube: the
run says how many are there, `--min_found=0.9` asks for that many. Expected figures are
in README.md here.
"""

from loading import data_dir, reader_flags
from nets import IMAGENET
from recipe import FLAGS, Recipe, start

SCALING = {"image": IMAGENET, "audio": (1.0, 0.0)}


def load():
    from keras_c2kd.data import read_ave

    root = data_dir("ave", samples=1000, smoke=80)
    return read_ave(root, on_error=FLAGS.on_error, **reader_flags())


def modalities(_):
    from keras_c2kd.data import AVE_SPECTROGRAM, Frames, Spectrogram

    # The miniature's sounds are short: 129 frequencies, 74 frames.
    audio = Spectrogram(8000, 1.5, 256, 160, standardize=True)
    if FLAGS.data_dir:
        audio = AVE_SPECTROGRAM
    return {"image": Frames(FLAGS.image_size), "audio": audio}


def crops():
    from keras_c2kd.data import IMAGENET_CROPS

    # Pictures of the miniature are small; an eighth of one shows nothing.
    return IMAGENET_CROPS if FLAGS.data_dir else None


RECIPE = Recipe(
    "ave",
    ("image", "audio"),
    load,
    modalities,
    SCALING,
    crops,
    defaults={"teacher": "audio", "student": "image"},
)

if __name__ == "__main__":
    start(RECIPE)
