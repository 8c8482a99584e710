"""A recipe's data: found or generated, split, decoded, in batches."""

import os
from importlib import import_module
from pathlib import Path

from absl import flags

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "The dataset as downloaded; none: a miniature.")
flags.DEFINE_string("cache_dir", None, "Where decoded samples are kept between runs.")
flags.DEFINE_float("validation_fraction", 0.2, "Of train, to choose epochs on.", 0, 1)
flags.DEFINE_bool("augment", True, "Random crops, flips and masks in training.")
flags.DEFINE_enum("on_error", "raise", ["raise", "skip"], "What a broken sample does.")
flags.DEFINE_bool("keep_incomplete", False, "Keep samples that lack a modality.")
flags.DEFINE_float("min_found", 0.0, "Share of the listed samples on disk.", 0, 1)


class Data:
    """Batches of the three parts, the same for every model of a seed."""

    def __init__(self, splits, modalities, crops, replicas=1):
        from keras_c2kd.data import decode

        if "validation" not in splits:
            rest, held_out = splits["train"].split(FLAGS.validation_fraction, seed=0)
            splits = {**splits, "train": rest, "validation": held_out}
        self.modalities = modalities(splits["train"])
        self.parts = {
            part: decode(
                splits[part],
                self.modalities,
                cache_dir=FLAGS.cache_dir and Path(FLAGS.cache_dir) / part,
                on_error=FLAGS.on_error,
                progress=bar(f"reading {part}"),
            )
            for part in ("train", "validation", "test")
        }
        self.classes = len(self.parts["train"].class_names)
        self.crops, self.replicas = crops, replicas
        self.validation, self.test = map(self._as_it_is, ("validation", "test"))

    def _as_it_is(self, part, replicas=1):
        from keras_c2kd.data import make_batches

        # Pixels are many: their logits of a large batch would not fit in memory.
        size = FLAGS.batch_size if "labels" in self.modalities else 128
        size = -(-size // replicas) * replicas
        return make_batches(self.parts[part], size, training=False, replicas=replicas)

    def shared(self, part):
        """`validation` or `test` for all devices at once."""
        return self._as_it_is(part, self.replicas)

    def train(self, seed, epoch, start=0):
        """Training batches of an epoch, from batch `start` on."""
        from keras_c2kd.data import make_batches

        return make_batches(
            self.parts["train"],
            FLAGS.batch_size,
            training=True,
            seed=seed,
            augment=FLAGS.augment,
            crops=self.crops,
            epoch=epoch,
            start=start,
            replicas=self.replicas,
        )

    def batch(self, seed, epoch, step):
        """The ids of the samples of a training step, and its batch."""
        from keras_c2kd.data.order import Order

        part = self.parts["train"]
        packed = part.batches(FLAGS.batch_size, False, Order(seed, epoch), step)
        positions = next(iter(packed))["position"].numpy()
        batch = next(iter(self.train(seed, epoch, step)))
        return [part.ids[position] for position in positions], batch

    def only(self, batches, modality):
        """One modality of a paired dataset, for a model that is trained alone."""
        from keras_c2kd.data import one_modality

        return one_modality(batches, modality)

    def fingerprint(self):
        """Of which samples are in which part, with which labels and contents."""
        from fingerprint import fingerprint

        return fingerprint(self.parts, self.modalities)

    def __str__(self):
        sizes = ", ".join(f"{len(part)} {name}" for name, part in self.parts.items())
        storage = {
            "memory": "decoded samples are held in memory",
            "cache": f"decoded samples are cached in {FLAGS.cache_dir}",
            "files": "files are decoded anew in every epoch; --cache_dir is faster",
        }[self.parts["train"].storage]
        return f"{self.classes} classes: {sizes}; {storage}"

    def print_left_out(self, most=10):
        """What the reader found and left out; all of it is in results.json too."""
        notes = dict.fromkeys(n for part in self.parts.values() for n in part.notes)
        notes = list(notes)
        for part in self.parts.values():
            notes += [f"left out: {reason}" for _, reason in part.skipped]
        print("\n".join(notes[:most]))
        if len(notes) > most:
            print(f"... and {len(notes) - most} more, in results.json")


def data_dir(name, samples, smoke):
    """--data_dir, or the miniature of that name, which is generated once."""
    if FLAGS.data_dir is not None:
        return FLAGS.data_dir
    count = smoke if FLAGS.smoke else samples
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    root = home / "datasets" / "keras_c2kd" / f"{name}_miniature_{count}"
    write = getattr(import_module("keras_c2kd.data"), f"write_{name}")
    return write(root, count, progress=bar("miniature, samples"))


def reader_flags():
    """What every reader takes from the flags."""
    return {"keep_incomplete": FLAGS.keep_incomplete, "min_found": FLAGS.min_found}


def bar(title):
    """A progress bar as `progress(done, total)`, shown from the first call on."""
    bars = {}

    def progress(done, total):
        if not bars:
            import keras

            print(title)
            bars[title] = keras.utils.Progbar(total, unit_name="sample")
        bars[title].update(done)

    return progress
