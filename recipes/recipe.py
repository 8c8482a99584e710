"""What a recipe says of its dataset, and the flags of training that all share.

Nothing here imports a framework, so that flags are checked before one is loaded.
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping
from typing import Any

import loading  # noqa: F401 - flags
import nets  # noqa: F401 - flags
import tasks
from absl import app, flags

FLAGS = flags.FLAGS
flags.DEFINE_string("teacher", None, "Modality of the teacher.")
flags.DEFINE_string("student", None, "Modality of the student.")
flags.DEFINE_integer("image_size", 64, "Side of the images, in pixels.", 8)
flags.DEFINE_integer("batch_size", 16, "Samples per step.", 1)
flags.DEFINE_integer("epochs", 25, "Epochs of every training.", 1)
flags.DEFINE_float("learning_rate", 0.02, "Of SGD with momentum 0.9, at the start.")
flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.")
flags.DEFINE_integer("seeds", 1, "How many seeds, from --seed on, with one teacher.", 1)
flags.DEFINE_string("run_dir", None, "A new folder, or a run to go on with.")
flags.DEFINE_list("export", [], "Of keras, savedmodel, onnx, litert: the student.")
flags.DEFINE_bool("int8", False, "With --export: the student in int8 as well.")
flags.DEFINE_bool("resume", False, "Go on with the newest run that is not done.")
flags.DEFINE_float("checkpoint_minutes", 5.0, "Between checkpoints in an epoch.", 0)
flags.DEFINE_enum(
    "distribution",
    "auto",
    ["auto", "none", "data_parallel", "mirrored"],
    "How several devices share a batch.",
)
flags.DEFINE_enum(
    "on_non_finite", "stop", ["stop", "skip"], "What a step with NaN or Inf does."
)
flags.DEFINE_bool("smoke", False, "One epoch of little: seconds, for tests.")
flags.DEFINE_enum("select", "position", ["position", "sample"], "OFSD of pixels.")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """One dataset: how it is read, and what its models are judged by.

    Attributes:
        name: of the recipe and its run folders.
        modality_names: what --teacher and --student may be.
        load: `load() -> {"train": Samples, "test": Samples, ...}`; without
            `"validation"` a part of train is held out.
        modalities: `modalities(train samples) -> {name: Modality}`.
        scaling: name to `(scale, offset)` for the encoder.
        crops: `crops()`, how training crops are drawn, see
            `keras_c2kd.data.make_batches`.
        task: of `tasks`.
        defaults: flags whose defaults are not those of the other recipes.
    """

    name: str
    modality_names: tuple[str, str]
    load: Callable[[], Mapping[str, Any]]
    modalities: Callable[[Any], Mapping[str, Any]]
    scaling: Mapping[str, Any]
    crops: Callable[[], Any] = lambda: None
    task: Any = dataclasses.field(default_factory=tasks.Classification)
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def set_defaults(self) -> None:
        """Before the command line is parsed."""
        for name, value in self.defaults.items():
            FLAGS.set_default(name, value)

    def check_flags(self) -> None:
        """Before anything is read or written."""
        for role in ("teacher", "student"):
            if getattr(FLAGS, role) not in self.modality_names:
                raise ValueError(
                    f"Expected --{role} to be one of {', '.join(self.modality_names)}. "
                    f"Received: --{role}={getattr(FLAGS, role)}"
                )
        if FLAGS.teacher == FLAGS.student:
            raise ValueError(
                "Expected two different modalities. "
                f"Received: --teacher={FLAGS.teacher} --student={FLAGS.student}"
            )


def start(recipe: Recipe) -> None:
    """A recipe as a command."""

    def main(_):
        end_in_one_sentence(recipe.check_flags)

        import quiet  # noqa: F401 - before whatever imports TensorFlow
        from runner import run

        run(recipe)

    recipe.set_defaults()
    app.run(main)


KNOWN = (ValueError, FloatingPointError, OSError, ImportError)


def end_in_one_sentence(function, *args):
    """Known mistakes are for a person to read, without a traceback."""
    try:
        return function(*args)
    except KeyboardInterrupt:
        sys.exit("\nStopped; --resume, or the same --run_dir, goes on from here.")
    except Exception as error:
        name, said = type(error).__name__, str(error)
        # TensorFlow, zipfile and HDF5 each have their own error for a full disk.
        if "No space left" in said and "Received: " not in said:
            said = (
                "Expected room on the disk of --run_dir and --cache_dir; what was "
                "written before is unharmed, and the same command goes on from it. "
                f"Received: {' '.join(said.split())}"
            )
        elif not isinstance(error, KNOWN):
            raise
        sys.exit(f"\n{name}: {said}")
