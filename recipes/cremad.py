"""A voice teaches a face: six emotions on CREMA-D.

    python recipes/cremad.py                          # on a generated miniature
    python recipes/cremad.py --data_dir=/data/cremad --image_size=224 \\
        --encoder=resnet18 --batch_size=64 --epochs=100 --learning_rate=0.01
    python recipes/cremad.py --teacher=image --student=audio
    python recipes/cremad.py --smoke                  # seconds; checks that all runs

`--data_dir` holds train.csv, test.csv, AudioWAV/ and Image-01-FPS/; the latter is
made from VideoFlash/ by `python -m keras_c2kd.data.prepare cremad --data_dir=...`. A
broken wav file stops the run; `--on_error=skip` leaves such clips out. Expected figures
are in README.md here.
"""

from loading import data_dir, reader_flags
from nets import IMAGENET
from recipe import FLAGS, Recipe, start

SCALING = {"image": IMAGENET, "audio": (0.2, 1.0)}


def load():
    from keras_c2kd.data import read_cremad

    root = data_dir("cremad", samples=1000, smoke=60)
    return read_cremad(root, on_error=FLAGS.on_error, **reader_flags())


def modalities(_):
    from keras_c2kd.data import CREMAD_SPECTROGRAM, Frames, Spectrogram

    # The miniature's sounds are short: 129 frequencies, 74 frames.
    audio = Spectrogram(8000, 1.5, 256, 160)
    if FLAGS.data_dir:
        audio = CREMAD_SPECTROGRAM
    return {"image": Frames(FLAGS.image_size), "audio": audio}


def crops():
    from keras_c2kd.data import IMAGENET_CROPS

    # Pictures of the miniature are small; an eighth of one shows nothing.
    return IMAGENET_CROPS if FLAGS.data_dir else None


RECIPE = Recipe(
    "cremad",
    ("image", "audio"),
    load,
    modalities,
    SCALING,
    crops,
    defaults={"teacher": "audio", "student": "image"},
)

if __name__ == "__main__":
    start(RECIPE)
