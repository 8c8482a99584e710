"""Text teaches pictures: CrisisMMD, tweets of disasters and their photographs.

    python recipes/crisismmd.py                          # on a generated miniature
    python recipes/crisismmd.py --data_dir=/data/CrisisMMD_v2.0
    python recipes/crisismmd.py --task=damage --teacher=image --student=text --seeds=5
    python recipes/crisismmd.py --encoder=resnet50 --image_preset=resnet_50_imagenet \
        --text_preset=bert_tiny_en_uncased --image_size=224
    python recipes/crisismmd.py --smoke                  # seconds; checks that all runs

`--data_dir` holds data_image/ and the task_*_text_img_*.tsv lists; the classes are
those of the train list. Expected figures are in README.md here.
"""

from absl import flags
from loading import data_dir, reader_flags
from recipe import FLAGS, Recipe, start

flags.DEFINE_enum(
    "task", "humanitarian", ["humanitarian", "informative", "damage"], "The labels."
)
flags.DEFINE_integer("text_length", 32, "Tokens per text.", 4)

SCALING = {"image": (1 / 127.5, -1.0)}


def load():
    from keras_c2kd.data import read_crisismmd

    root = data_dir("crisismmd", samples=1200, smoke=120)
    return read_crisismmd(root, task=FLAGS.task, **reader_flags())


def modalities(train):
    from keras_c2kd.data import Rgb, Tokens

    if FLAGS.text_preset:
        text = Tokens.from_preset(FLAGS.text_preset, FLAGS.text_length)
    else:
        text = Tokens.from_texts(train.sources["text"], FLAGS.text_length)
    return {"image": Rgb(FLAGS.image_size), "text": text}


RECIPE = Recipe(
    "crisismmd",
    ("image", "text"),
    load,
    modalities,
    SCALING,
    defaults={"teacher": "text", "student": "image"},
)

if __name__ == "__main__":
    start(RECIPE)
