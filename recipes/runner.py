"""What every recipe does: teacher, student alone, C2KD; test, table, run folder."""

import sys
import time
from pathlib import Path

import keras
import nets
import numpy as np
import report
import tasks
from absl import flags, logging
from loading import Data

from keras_c2kd import C2KD, OFSD
from keras_c2kd.callbacks import StopOnNonFinite, StudentCheckpoint
from keras_c2kd.callbacks.student_checkpoint import save_aside
from keras_c2kd.metrics import confusion_matrix
from keras_c2kd.ops import kendall_rank_correlation

FLAGS = flags.FLAGS
flags.DEFINE_string("teacher", None, "Modality of the teacher.")
flags.DEFINE_string("student", None, "Modality of the student.")
flags.DEFINE_integer("image_size", 64, "Side of the images, in pixels.", 8)
flags.DEFINE_integer("batch_size", 16, "Samples per step.", 1)
flags.DEFINE_integer("epochs", 25, "Epochs of each of the three trainings.", 1)
flags.DEFINE_float("learning_rate", 0.02, "Of SGD with momentum 0.9, at the start.")
flags.DEFINE_integer("seed", 0, "Of weights, order and augmentation.")
flags.DEFINE_integer("seeds", 1, "How many seeds, from --seed on, with one teacher.", 1)
flags.DEFINE_string("run_dir", None, "Where to write; none: a new folder in runs/.")
flags.DEFINE_bool("smoke", False, "One epoch of little: seconds, for tests.")
flags.DEFINE_enum("select", "position", ["position", "sample"], "OFSD of pixels.")


def run(name, modality_names, load, modalities, scaling, crops=None, task=None) -> None:
    """Run a recipe from its flags; a known mistake ends in one sentence.

    Args:
        name: of the recipe and its run folders.
        modality_names: what --teacher and --student may be.
        load: `load() -> {"train": Samples, "test": Samples, ...}`; without
            `"validation"` a part of train is held out.
        modalities: `modalities(train samples) -> {name: Modality}`.
        scaling: name to `(scale, offset)` for the encoder.
        crops: how training crops are drawn, see `keras_c2kd.data.make_batches`.
        task: of `tasks`; `None`: classification.
    """
    logging.set_verbosity(logging.ERROR)
    try:
        check_flags(modality_names)
        if FLAGS.smoke:
            FLAGS.epochs, FLAGS.image_size, FLAGS.seeds = 1, 32, 1
        folder = run_folder(name)
        data = Data(load(), modalities, crops)
        Run(folder, data, scaling, task or tasks.Classification()).run()
    except (ValueError, FloatingPointError, OSError) as error:
        sys.exit(f"\n{type(error).__name__}: {error}")


class Run:
    """One teacher; for each seed the student alone, and the same with C2KD."""

    def __init__(self, folder, data, scaling, task):
        self.folder, self.data, self.scaling, self.task = folder, data, scaling, task
        self.log = report.Log(folder / "log.csv")

    def run(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        report.write_json(self.folder / "config.json", FLAGS.flag_values_dict())
        print(f"\n{self.data}; the run is written to {self.folder}")
        self.data.print_left_out()
        for modality in self.data.modalities.values():
            modality.save(self.folder)
        teacher_file = self.folder / "teacher.keras"
        teacher = self.train_alone("teacher", FLAGS.teacher, FLAGS.seed)
        save_aside(teacher, teacher_file)
        results = {"teacher": [self.test(teacher, FLAGS.teacher)]}
        for seed in range(FLAGS.seed, FLAGS.seed + FLAGS.seeds):
            # As it was saved: distillation trains the teacher too.
            teacher = keras.models.load_model(teacher_file)
            alone = self.train_alone("student", FLAGS.student, seed)
            scores = self.test(alone, FLAGS.student)
            scores.update(self.agreement(teacher, alone))
            results.setdefault("student alone", []).append(scores)
            scores = self.distilled(teacher, seed)
            results.setdefault("C2KD", []).append(scores)
            report.write_results(self.folder, results, self.data.parts, self.task)
        report.draw_curves(self.log.rows, self.folder / "curves.png", self.task)
        print(report.table(results, FLAGS.teacher, FLAGS.student, self.task))

    def build(self, role, modality):
        return nets.build(
            role,
            self.data.modalities[modality],
            self.data.classes,
            self.scaling.get(modality, (1.0, 0.0)),
            per_pixel="labels" in self.data.modalities,
        )

    def train_alone(self, role, modality, seed):
        """One model of one modality, trained on labels."""
        keras.utils.set_random_seed(seed)
        model, _ = self.build(role, modality)
        model.compile(
            self.optimizer(),
            loss=self.task.loss(),
            weighted_metrics=self.task.metrics(self.data.classes),
        )
        title = "teacher" if role == "teacher" else "student alone"
        model.fit(
            self.data.only(self.data.train(seed), modality),
            validation_data=self.data.only(self.data.validation, modality),
            epochs=FLAGS.epochs,
            callbacks=self.callbacks(title, seed),
            shuffle=False,  # the dataset does it
            verbose=0,
        )
        return model

    def distilled(self, teacher, seed):
        """C2KD, from the same initial student and the same batches as the baseline."""
        keras.utils.set_random_seed(seed)
        student, student_tap = self.build("student", FLAGS.student)
        _, teacher_tap = self.build("teacher", FLAGS.teacher)
        model = C2KD(
            teacher,
            student,
            teacher_modality=FLAGS.teacher,
            student_modality=FLAGS.student,
            teacher_features=teacher_tap,
            student_features=student_tap,
            ofsd=OFSD(select=FLAGS.select),
        )
        model.compile(
            self.optimizer(),
            loss=self.task.loss(),
            weighted_metrics=self.task.metrics(self.data.classes),
        )
        name = "student.keras" if seed == FLAGS.seed else f"student_{seed}.keras"
        best = StudentCheckpoint(
            self.folder / name, monitor=self.task.monitor, mode="max"
        )
        model.fit(
            self.data.train(seed),
            validation_data=self.data.validation,
            epochs=FLAGS.epochs,
            callbacks=[best, *self.callbacks("C2KD", seed)],
            shuffle=False,
            verbose=0,
        )
        student = keras.models.load_model(self.folder / name)
        proxies = model.evaluate(self.data.test, verbose=0, return_dict=True)
        agreement = {"krc": proxies["krc"], "selected": proxies["selected"]}
        return {**self.test(student, FLAGS.student), **agreement}

    def optimizer(self):
        """The released code's: SGD, momentum 0.9, polynomial decay of power 0.9."""
        steps = FLAGS.epochs * int(self.data.train(0).cardinality())
        rate = keras.optimizers.schedules.PolynomialDecay(
            FLAGS.learning_rate, steps, end_learning_rate=1e-4, power=0.9
        )
        return keras.optimizers.SGD(rate, momentum=0.9)

    def callbacks(self, title, seed):
        """The best epoch is chosen on validation, never on test."""
        best = keras.callbacks.EarlyStopping(
            self.task.monitor,
            mode="max",
            patience=FLAGS.epochs,
            restore_best_weights=True,
        )
        bar = EpochBar(title, seed, self.task.monitor)
        return [best, StopOnNonFinite(), self.log.callback(title, seed), bar]

    def test(self, model, modality):
        """The task's figures on test, from one confusion matrix."""
        confusion = 0
        for inputs, labels in self.data.test:
            logits = model.predict_on_batch(as_input(inputs[modality]))
            if modality in inputs.get("present", {}):
                there = inputs["present"][modality].numpy()
                logits, labels = logits[there], labels.numpy()[there]
            confusion += confusion_matrix(labels, logits, ignore_class=tasks.VOID)
        return self.task.scores(confusion)

    def agreement(self, teacher, student):
        """How the logits of two separately trained models rank the classes alike."""
        krc = []
        for inputs, labels in self.data.test:
            counts = labels.numpy() < self.data.classes  # not so where it is void
            for there in inputs.get("present", {}).values():
                counts &= there.numpy()
            logits = [
                model.predict_on_batch(as_input(inputs[name]))
                for model, name in ((teacher, FLAGS.teacher), (student, FLAGS.student))
            ]
            values = keras.ops.convert_to_numpy(kendall_rank_correlation(*logits))
            krc.append(values[counts])
        krc = np.concatenate(krc)
        return {"krc": float(krc.mean()), "selected": float((krc > 0.0).mean())}


def as_input(tensor):
    """A batch of tf.data for whatever backend runs the model."""
    return np.asarray(tensor)


def check_flags(modalities):
    """Before anything is read or written."""
    for role in ("teacher", "student"):
        if getattr(FLAGS, role) not in modalities:
            raise ValueError(
                f"Expected --{role} to be one of {', '.join(modalities)}. "
                f"Received: --{role}={getattr(FLAGS, role)}"
            )
    if FLAGS.teacher == FLAGS.student:
        raise ValueError(
            "Expected two different modalities. "
            f"Received: --teacher={FLAGS.teacher} --student={FLAGS.student}"
        )


def run_folder(name):
    """A folder of its own for each run, so that nothing is overwritten."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    default = Path("runs") / f"{name}-{FLAGS.teacher}-to-{FLAGS.student}-{stamp}"
    folder = Path(FLAGS.run_dir) if FLAGS.run_dir else default
    if (folder / "results.json").exists():
        raise ValueError(
            "Expected a --run_dir without a finished run, which would be overwritten. "
            f"Received: --run_dir={folder}"
        )
    return folder


class EpochBar(keras.callbacks.Callback):
    """One line per training, with a few figures of the epoch."""

    def __init__(self, title, seed, monitor):
        super().__init__()
        self.title = f"{title}, seed {seed}"
        self.shown = ("loss", "krc", "selected", monitor)

    def on_train_begin(self, logs=None):
        print(self.title)
        self.bar = keras.utils.Progbar(
            self.params["epochs"], unit_name="epoch", stateful_metrics=self.shown
        )

    def on_epoch_end(self, epoch, logs=None):
        values = [(name, logs[name]) for name in self.shown if name in logs]
        self.bar.update(epoch + 1, values)
