"""A sound teaches a picture: VGGSound, three frames of every clip.

    python recipes/vggsound.py                          # on a generated miniature
    python recipes/vggsound.py --data_dir=/data/vggsound --image_size=224 \\
        --encoder=resnet18 --batch_size=64 --epochs=100 --learning_rate=0.01 \\
        --list_file=vggsound_50.csv
    python recipes/vggsound.py --teacher=image --student=audio
    python recipes/vggsound.py --smoke                  # seconds; checks that all runs

`--data_dir` holds the list, and below <split>-videos/ and <split>-audios/ the frames
and wav files, made by `python -m keras_c2kd.data.prepare vggsound --data_dir=...`; the
released code uses a list of 50 of the classes. Videos vanish from YouTube: the run says
how many are there, `--min_found=0.9` asks for that many. Expected figures are in
README.md here.
"""

from absl import flags
from loading import data_dir, reader_flags
from nets import IMAGENET
from recipe import FLAGS, Recipe, start

flags.DEFINE_string("list_file", "vggsound.csv", "Clips: id, start, label, split.")

SCALING = {"image": IMAGENET, "audio": (0.2, 1.0)}


def load():
    from keras_c2kd.data import read_vggsound

    root = data_dir("vggsound", samples=1000, smoke=80)
    return read_vggsound(
        root, FLAGS.list_file, on_error=FLAGS.on_error, **reader_flags()
    )


def modalities(_):
    from keras_c2kd.data import VGGSOUND_SPECTROGRAM, Frames, Spectrogram

    # The miniature's sounds are short: 129 frequencies, 74 frames.
    audio = Spectrogram(8000, 1.5, 256, 160)
    if FLAGS.data_dir:
        audio = VGGSOUND_SPECTROGRAM
    return {"image": Frames(FLAGS.image_size, frames=3), "audio": audio}


def crops():
    from keras_c2kd.data import IMAGENET_CROPS

    # Pictures of the miniature are small; an eighth of one shows nothing.
    return IMAGENET_CROPS if FLAGS.data_dir else None


RECIPE = Recipe(
    "vggsound",
    ("image", "audio"),
    load,
    modalities,
    SCALING,
    crops,
    defaults={"teacher": "audio", "student": "image"},
)

if __name__ == "__main__":
    start(RECIPE)
