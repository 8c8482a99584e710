"""Models of a recipe: built, trained, tested, the same way in every script."""

import keras
import nets
import numpy as np
from files import read_model
from methods import Pair
from recipe import FLAGS

from keras_c2kd.backend import devices
from keras_c2kd.callbacks import (
    DistillationWatch,
    NonFiniteGuard,
    StudentCheckpoint,
    TrainingCheckpoint,
)
from keras_c2kd.diagnostics import find_broken
from keras_c2kd.distribution import distribute, synchronize_batch_norm
from keras_c2kd.metrics import confusion_matrix
from keras_c2kd.ops import kendall_rank_correlation


def make_deterministic(threads=None):
    """The same bits in every run, with the same number of threads."""
    if keras.config.backend() == "torch" and threads:
        import torch

        torch.set_num_threads(threads)
    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        if threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.experimental.enable_op_determinism()


def check_guard(replicas):
    """Before anything is trained: whether a step can be left out.

    Args:
        replicas: a `keras_c2kd.distribution.Replicas`.

    Raises:
        ValueError: with --on_non_finite=skip on several devices of TensorFlow.
    """
    shared = replicas.count > 1 and not devices.GUARDS_REPLICAS
    if FLAGS.on_non_finite == "skip" and shared:
        raise ValueError(
            "Expected --on_non_finite=stop where devices of TensorFlow share a batch, "
            "since all of them take a step together; or --distribution=none. "
            f"Received: --on_non_finite=skip on {replicas.count} devices"
        )


class Training:
    """What is trained on the data of a recipe, by the flags.

    Every epoch is a `fit` of its own, on batches that are a function of the seed and
    the epoch: so a training that was stopped goes on with those it would have had.

    Args:
        recipe: a `Recipe`.
        data: a `loading.Data`.
        log: a `report.Log`.
    """

    def __init__(self, recipe, data, log):
        self.recipe, self.data, self.log = recipe, data, log
        self.task = recipe.task

    def build(self, role, modality):
        """An untrained model, and the name of the layer that is tapped."""
        return nets.build(
            role,
            self.data.modalities[modality],
            self.data.classes,
            self.recipe.scaling.get(modality, (1.0, 0.0)),
            per_pixel="labels" in self.data.modalities,
        )

    def load(self, file, role, modality, seed):
        """A model of `build` from its file."""
        self.build(role, modality)  # imports what its file may need
        keras.utils.set_random_seed(seed)  # its dropout is seeded when it is loaded
        return read_model(file)

    def on_all_devices(self):
        """In it a model is made and trained; it is tested on one, outside."""
        return distribute(FLAGS.distribution)

    def batches(self, seed, epoch, start=0):
        """Training batches, the same for every method of a seed."""
        return self.data.train(seed, epoch, start)

    def train_alone(self, role, modality, seed, file):
        """One model of one modality, trained on labels; its best epoch is in `file`."""
        keras.utils.set_random_seed(seed)
        title = "teacher" if role == "teacher" else "student alone"
        with self.on_all_devices():
            model, _ = self.build(role, modality)
            self.fit(model, title, seed, file, modality=modality)

    def distilled(self, method, setting, teacher, seed, file, callbacks=()):
        """A student trained by a method, from the initial weights of `train_alone`.

        It is `on_all_devices` if that is where the teacher was loaded.
        `setting` is one of the method's `search`. Returns the distiller after the last
        epoch; its student of the best epoch is in `file`.
        """
        keras.utils.set_random_seed(seed)
        student, student_tap = self.build("student", FLAGS.student)
        _, teacher_tap = self.build("teacher", FLAGS.teacher)
        teacher.trainable = not method.frozen
        pair = Pair(
            teacher,
            student,
            modalities=(FLAGS.teacher, FLAGS.student),
            taps=(teacher_tap, student_tap),
            last=(
                nets.last_tap(teacher, teacher_tap),
                nets.last_tap(student, student_tap),
            ),
            steps=self.steps(),
            select=FLAGS.select,
        )
        model = method.build(pair, **method.search[setting])
        self.fit(model, method.title, seed, file, callbacks)
        return model

    def fit(self, model, title, seed, file, callbacks=(), modality=None):
        """All epochs, or those that are left; the best on validation is in `file`.

        Args:
            model: a distiller, or with a `modality` a model that sees it alone.
            title: in the log.
            seed: of the batches.
            file: ends in `.keras`; checkpoints lie beside it until all is done.
            callbacks: with `get_state` and `set_state`.
        """
        self.compile(model)
        best = StudentCheckpoint(file, monitor=self.task.monitor, mode="max")
        owners = [best, *callbacks, *self.with_state()]
        checkpoint = TrainingCheckpoint(
            checkpoints_of(file), FLAGS.checkpoint_minutes, with_state=owners
        )

        def seen(batches):
            return batches if modality is None else self.data.only(batches, modality)

        validation = seen(self.data.shared("validation"))
        start = checkpoint.restore(model, validation)
        self.log.cut(title, seed, start.epoch)
        everyone = [
            self.guard(seed, start, modality),
            *(self.log.callback(title, seed), best, *callbacks),
            *(EpochBar(title, seed, self.task.monitor, start), checkpoint),
        ]
        if modality is None:
            # One of several processes has not the whole model to look at.
            looked_at = self.data.validation if devices.process()[1] == 1 else None
            everyone.append(DistillationWatch(looked_at, self.task.ignore_class))
        for epoch in range(start.epoch, FLAGS.epochs):
            skipped = start.step if epoch == start.epoch else 0
            model.fit(
                seen(self.batches(seed, epoch, skipped)),
                validation_data=validation,
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=everyone,
                shuffle=False,  # the dataset does it
                verbose=0,
            )

    def guard(self, seed, start, modality):
        """What stops a training, or leaves out a step, that is no number."""

        def batch_of(epoch, step):
            ids, batch = self.data.batch(seed, epoch, step)
            return ids, batch if modality is None else (batch[0][modality], batch[1])

        # A model that trains alone is Keras's own: of it no step can be left out.
        action = FLAGS.on_non_finite if modality is None else "stop"
        return NonFiniteGuard(action, batch_of, start)

    def with_state(self):
        """What else belongs into a checkpoint."""
        return []

    def compile(self, model):
        """The released code's optimizer: SGD, polynomial decay of power 0.9."""
        rate = keras.optimizers.schedules.PolynomialDecay(
            FLAGS.learning_rate, self.steps(), end_learning_rate=1e-4, power=0.9
        )
        if self.data.replicas > 1 and keras.config.backend() == "tensorflow":
            synchronize_batch_norm(model)  # as on one device
        model.compile(
            keras.optimizers.SGD(rate, momentum=0.9),
            loss=self.task.loss(),
            weighted_metrics=self.task.metrics(self.data.classes),
        )

    def steps(self):
        """Training steps of all epochs."""
        return FLAGS.epochs * int(self.data.train(0, 0).cardinality())

    def look_at(self, teacher):
        """What would make its soft labels worthless, in sentences, on validation."""
        options = {"modality": FLAGS.teacher, "ignore_class": self.task.ignore_class}
        found = find_broken(teacher, self.data.validation, **options)
        return [f"Look at the teacher first: {sentence}." for sentence in found]

    def logits(self, model, modality):
        """`(labels, logits)` of every test batch that has the modality."""
        for inputs, labels in self.data.test:
            logits = model.predict_on_batch(as_input(inputs[modality]))
            labels = labels.numpy()
            if modality in inputs.get("present", {}):
                there = inputs["present"][modality].numpy()
                logits, labels = logits[there], labels[there]
            yield labels, logits

    def test(self, model, modality):
        """The task's figures on test, from one confusion matrix."""
        confusion = 0
        for labels, logits in self.logits(model, modality):
            confusion += confusion_matrix(
                labels, logits, ignore_class=self.task.ignore_class
            )
        return self.task.scores(confusion)

    def agreement(self, teacher, student):
        """How the logits of two separately trained models rank the classes alike."""
        krc = []
        for inputs, labels in self.data.test:
            logits = [
                model.predict_on_batch(as_input(inputs[name]))
                for model, name in ((teacher, FLAGS.teacher), (student, FLAGS.student))
            ]
            values = keras.ops.convert_to_numpy(kendall_rank_correlation(*logits))
            krc.append(values[counts(inputs, labels, self.data.classes)])
        krc = np.concatenate(krc)
        return {"krc": float(krc.mean()), "selected": float((krc > 0.0).mean())}


def as_input(tensor):
    """A batch of tf.data for whatever backend runs the model."""
    return np.asarray(tensor)


def counts(inputs, labels, classes):
    """bool like the labels: neither void nor without a modality."""
    there = labels.numpy() < classes
    for mask in inputs.get("present", {}).values():
        there &= mask.numpy()
    return there


def checkpoints_of(file):
    """The folder of a training's checkpoints, by the file of its best model."""
    return file.with_name(f".{file.stem}.checkpoints")


def has_checkpoints(file):
    """Whether a training was begun, and can be gone on with."""
    return any(checkpoints_of(file).glob("*.npz"))


def delete_checkpoints(file):
    """Of a training that is done, once its results are written."""
    TrainingCheckpoint(checkpoints_of(file)).delete()


class EpochBar(keras.callbacks.Callback):
    """One line per training, with a few figures of the epoch."""

    def __init__(self, title, seed, monitor, start):
        super().__init__()
        self.shown = ("loss", "krc", "selected", monitor)
        self.bar = keras.utils.Progbar(
            FLAGS.epochs, unit_name="epoch", stateful_metrics=self.shown
        )
        after = f", going on after epoch {start.epoch}" if any(start) else ""
        print(f"{title}, seed {seed}{after}")

    def on_epoch_end(self, epoch, logs=None):
        values = [(name, logs[name]) for name in self.shown if name in logs]
        self.bar.update(epoch + 1, values)
