"""CrossModalDistiller: two models, two named modalities, one training loop."""

from types import SimpleNamespace
from typing import Any

import keras
from keras import ops

from keras_c2kd.backend import TrainStep, share_of_mean
from keras_c2kd.distillers import checks
from keras_c2kd.distillers.compat import copies, policy_of, results, without_backend
from keras_c2kd.distillers.incomplete import fill, presence_of, weights_of
from keras_c2kd.distillers.progress import QuietProgbar
from keras_c2kd.distillers.taps import FeatureTap, is_functional


@keras.saving.register_keras_serializable(package="keras_c2kd")
class CrossModalDistiller(TrainStep, keras.Model):
    """Trains a student of one modality together with a teacher of another.

    This is everything about the pair that is not the method: which input goes to which
    model, features by layer name, the two task losses, metrics of both models, and
    inference with the student alone. A method subclasses it and says what it adds:
    more outputs of the forward pass (`heads`) and named losses on them (`distill`).

        L = H(f_T, y) + H(f_S, y) + sum_k weight_k term_k

    Args:
        teacher: A Keras model that returns logits; needed in training only. It is
            trained too; a frozen one is `teacher.trainable = False` before `compile`.
        student: A Keras model that returns logits for the same classes.
        teacher_modality: Key of the teacher's input in the input dict.
        student_modality: Key of the student's input in the input dict.
        teacher_features: Layer whose output is tapped (`"backbone/stage3"` in a nested
            model); `None` for a model that returns `{"logits": ..., "features": ...}`.
        student_features: The same for the student.
        **kwargs: `name`, `dtype`, `trainable` of `keras.Model`.

    Call arguments:
        inputs: `{teacher_modality: ..., student_modality: ...}`, or the pair
            `(teacher input, student input)`; the student's input alone will do.

            The dict may hold `"present"`, modality to bool `(B,)`: a sample that lacks
            one takes part in the task loss of the other, and in nothing else.

    Returns:
        A dict of logits, or the student's logits where its input came alone.
    """

    # Names of what `distill` returns: losses, and what is logged beside them.
    term_names: tuple[str, ...] = ()
    observed_names: tuple[str, ...] = ()

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        teacher_modality: str,
        student_modality: str,
        teacher_features: str | None = None,
        student_features: str | None = None,
        **kwargs: Any,
    ):
        checks.check_models(teacher, student)
        checks.check_names(
            teacher_modality=teacher_modality,
            student_modality=student_modality,
            teacher_features=teacher_features,
            student_features=student_features,
        )
        kwargs.setdefault("dtype", policy_of(teacher, student))
        # The two models cast their own inputs; here images would lose bits too early.
        super().__init__(autocast=False, **kwargs)
        self.teacher = teacher
        self.student = student
        self.teacher_modality = teacher_modality
        self.student_modality = student_modality
        self.teacher_features = teacher_features
        self.student_features = student_features
        self.num_classes = None
        self.logits_spec = None
        self._teacher_tap = FeatureTap(teacher, teacher_features, "teacher")
        self._student_tap = FeatureTap(student, student_features, "student")
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in (*self.observed_names, *self.term_names)
        }
        # A plain object: compile() comes after build(), when Keras tracks no more.
        self._compiled_for_teacher = SimpleNamespace(metrics=None)

    # === What a method adds ===

    def build_heads(self, teacher_features, student_features, student_logits):
        """Creates the layers that `heads` uses, given symbolic features and logits."""

    def heads(
        self, teacher_features, student_features, student_logits, training, complete
    ):
        """More named outputs of the forward pass on paired inputs.

        `complete` is bool `(B,)`, the samples that count, or None for all of them.
        """
        return {}

    def distill(self, labels, outputs, sample_weight, complete):
        """`({name: (weight, scalar loss)}, {name: (value per sample, mask)})`."""
        return {}, {}

    # === Forward ===

    def build(self, input_shape=None):
        """Creates every variable; Functional models need no `input_shape`."""
        teacher_shape, student_shape = self.route(input_shape)
        teacher_logits, teacher_features = self._teacher_tap.spec(teacher_shape)
        student_logits, student_features = self._student_tap.spec(student_shape)
        self.num_classes = checks.check_classes(teacher_logits, student_logits)
        self.logits_spec = keras.KerasTensor(student_logits.shape, student_logits.dtype)
        self.build_heads(teacher_features, student_features, student_logits)

    def build_if_known(self):
        """Builds at once where shapes are known, so that callbacks find variables."""
        if is_functional(self.teacher) and is_functional(self.student):
            self.build()

    def call(self, inputs, training=None):
        teacher_input, student_input = self.route(inputs)
        presence = presence_of(self, inputs)
        if presence is not None:
            teacher_input = fill(teacher_input, presence.teacher)
            student_input = fill(student_input, presence.student)
        student_logits, student_features = self._student_tap(student_input, training)
        if teacher_input is None:
            return student_logits
        teacher_logits, teacher_features = self._teacher_tap(teacher_input, training)
        heads = self.heads(
            teacher_features,
            student_features,
            student_logits,
            training,
            presence and presence.complete,
        )
        return {
            "teacher_logits": teacher_logits,
            "student_logits": student_logits,
            **heads,
        }

    def route(self, inputs):
        """`(teacher's input or None, student's input)`."""
        return checks.route(self, inputs)

    # === Loss and metrics ===

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        **kwargs,
    ):
        """As `keras.Model.compile`, for both models.

        `loss=None` is sparse categorical cross-entropy from logits. Metrics are those
        of the student; the teacher's come with the prefix `teacher_`.
        """
        super().compile(
            optimizer,
            loss=checks.check_loss(loss),
            loss_weights=loss_weights,
            metrics=metrics,
            weighted_metrics=weighted_metrics,
            **kwargs,
        )
        compiled = self._compile_metrics
        self._compiled_for_teacher.metrics = compiled and type(compiled)(
            copies(metrics), copies(weighted_metrics)
        )

    def get_compile_config(self):
        return without_backend(super().get_compile_config())

    def compile_from_config(self, config):
        """Keras leaves this to models with a `compile` of their own."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        """The weighted sum of all terms; also updates their trackers."""
        outputs = y_pred if isinstance(y_pred, dict) else {"student_logits": y_pred}
        paired = "teacher_logits" in outputs
        if training:  # not in Keras's symbolic pass, whose dtypes are not the data's
            checks.check_pair(self, x)
            checks.check_labels(y, outputs["student_logits"], self.loss)
        presence = presence_of(self, x)
        weights = weights_of(presence, sample_weight)
        loss = ops.sum([ops.sum(penalty) for penalty in self.losses] or [0.0])
        loss += self._compile_loss(y, outputs["student_logits"], weights.student)
        if paired:
            loss += self._compile_loss(y, outputs["teacher_logits"], weights.teacher)
            terms, observed = self.distill(
                y, outputs, sample_weight, presence and presence.complete
            )
            loss += share_of_mean(sum(weight * term for weight, term in terms.values()))
            self._track(terms, observed, batch_size=ops.shape(y)[0])
        return self._nan_if_out_of_range(loss, y)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        outputs = y_pred if isinstance(y_pred, dict) else {"student_logits": y_pred}
        # Keras calls this first, symbolically, when nothing can be lost yet.
        checks.check_label_shape(y, outputs["student_logits"], self.loss)
        of_student, of_teacher = (
            self._compile_metrics,
            self._compiled_for_teacher.metrics,
        )
        weights = weights_of(presence_of(self, x), sample_weight)
        if of_student is not None:
            of_student.update_state(y, outputs["student_logits"], weights.student)
            if not of_teacher.built:
                of_teacher.build(y, outputs["student_logits"])
        if "teacher_logits" not in outputs:
            return {"loss": self._loss_tracker.result(), **results(of_student)}
        if of_teacher is not None:
            of_teacher.update_state(y, outputs["teacher_logits"], weights.teacher)
        return self.get_metrics_result()

    def get_metrics_result(self):
        of_teacher = results(self._compiled_for_teacher.metrics)
        return {
            "loss": self._loss_tracker.result(),
            **{name: tracker.result() for name, tracker in self._trackers.items()},
            **results(self._compile_metrics),
            **{f"teacher_{name}": value for name, value in of_teacher.items()},
        }

    @property
    def metrics(self):
        of_teacher = self._compiled_for_teacher.metrics
        return super().metrics + ([of_teacher] if of_teacher is not None else [])

    def _track(self, terms, observed, batch_size):
        for name, (_, term) in terms.items():
            self._trackers[name].update_state(term, sample_weight=batch_size)
        for name, (value, mask) in observed.items():
            self._trackers[name].update_state(value, sample_weight=mask)

    def _nan_if_out_of_range(self, loss, labels):
        """A label that no class has costs nothing on JAX, unseen: here it is NaN."""
        if not checks.is_sparse(self.loss):
            return loss
        valid = ops.logical_and(labels >= 0, labels < self.num_classes)
        ignored = getattr(self.loss, "ignore_class", None)
        if ignored is not None:
            valid = ops.logical_or(valid, ops.equal(labels, ignored))
        return ops.where(ops.all(valid), loss, float("nan"))

    # === Loops ===

    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        **kwargs,
    ):
        """As `keras.Model.fit`, after a look at what the data is."""
        checks.check_data(self, x, y, training=True)
        if self.built and not self.trainable_variables:
            raise ValueError(
                "Expected something to train; set `trainable = True` on the student "
                "and compile again. Received: a model that is frozen as a whole"
            )
        validation = kwargs.get("validation_data")
        if validation is not None:
            pair = validation if isinstance(validation, tuple) else (validation, None)
            checks.check_data(self, *pair[:2])
        callbacks = self._with_progbar(callbacks, verbose)
        return super().fit(x, y, batch_size, epochs, verbose, callbacks, **kwargs)

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        **kwargs,
    ):
        """As `keras.Model.evaluate`; the student's modality alone is enough."""
        checks.check_data(self, x, y)
        callbacks = self._with_progbar(callbacks, verbose)
        return super().evaluate(
            x, y, batch_size, verbose, sample_weight, steps, callbacks, **kwargs
        )

    def predict_step(self, *args):
        """Student logits, on paired data too. JAX passes its state before the data."""
        *state, data = args
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        return super().predict_step(*state, (self.route(inputs)[1],))

    def _with_progbar(self, callbacks, verbose):
        if not verbose or isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks
        callbacks = keras.tree.flatten(callbacks) if callbacks is not None else []
        if any(isinstance(c, keras.callbacks.ProgbarLogger) for c in callbacks):
            return callbacks
        return [*callbacks, QuietProgbar(hidden=self.term_names)]

    # === Saving ===

    def get_config(self):
        models = {
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "student": keras.saving.serialize_keras_object(self.student),
        }
        names = ("teacher_modality", "student_modality")
        names += ("teacher_features", "student_features")
        settings = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **models, **settings}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = {
            name: keras.saving.deserialize_keras_object(value, custom_objects)
            if isinstance(value, dict)
            else value
            for name, value in config.items()
        }
        return cls(**config)
