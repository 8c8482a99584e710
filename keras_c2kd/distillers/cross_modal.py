"""CrossModalDistiller: two models, two named modalities, one training loop."""

from types import SimpleNamespace
from typing import Any

import keras
from keras import ops

from keras_c2kd.backend import TrainStep, share_of_mean
from keras_c2kd.distillers import checks
from keras_c2kd.distillers.compat import copies, policy_of, results, without_backend
from keras_c2kd.distillers.incomplete import (
    fill,
    presence_of,
    weights_of,
    without_weightless,
)
from keras_c2kd.distillers.loops import Loops
from keras_c2kd.distillers.loss_terms import LossTerms, Schedule
from keras_c2kd.distillers.taps import FeatureTap, is_functional
from keras_c2kd.losses.c2kd_terms import as_class_indices
from keras_c2kd.ops.reduction import align


@keras.saving.register_keras_serializable(package="keras_c2kd")
class CrossModalDistiller(Loops, TrainStep, keras.Model):
    """Trains a student of one modality together with a teacher of another.

    This is everything about the pair that is not the method: which input goes to which
    model, features by layer name, the two task losses, metrics of both models, and
    inference with the student alone. Methods that are a loss between logits or
    features are given as `distillation_losses`; one that needs layers of its own
    subclasses this and says what it adds: more outputs of the forward pass (`heads`)
    and named losses on them (`distill`).

        L = H(f_T, y) + H(f_S, y) + sum_k weight_k term_k

    The teacher's task loss is left out where the teacher is frozen.

    Args:
        teacher: A Keras model that returns logits; needed in training only. It is
            trained too; a frozen one is `teacher.trainable = False` before `compile`.
        student: A Keras model that returns logits for the same classes.
        teacher_modality: Key of the teacher's input in the input dict.
        student_modality: Key of the student's input in the input dict.
        teacher_features: Layer whose output is tapped (`"backbone/stage3"` in a nested
            model); `None` for a model that returns `{"logits": ..., "features": ...}`.
        student_features: The same for the student.
        distillation_losses: A `keras.distillation.DistillationLoss`, as those in
            `keras_c2kd.losses`, a list of them, or a dict from the names in the logs.
        distillation_loss_weights: A number, or a `LearningRateSchedule` of one over
            training steps, for each loss: as a list, or by name; default 1.
        **kwargs: `name`, `dtype`, `trainable` of `keras.Model`.

    Call arguments:
        inputs: `{teacher_modality: ..., student_modality: ...}`, or the pair
            `(teacher input, student input)`; the student's input alone will do.

            The dict may hold `"present"`, modality to bool `(B,)`: a sample that lacks
            one takes part in the task loss of the other, and in nothing else.

    Returns:
        A dict of logits, or the student's logits where its input came alone.

    Raises:
        ValueError: models or losses that do not go together, unknown layers.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd import CrossModalDistiller, OFSD
    >>> from keras_c2kd.losses import DIST, KD
    >>> def net(width):
    ...     inputs = keras.Input((width,))
    ...     return keras.Model(inputs, keras.layers.Dense(3)(inputs))
    >>> teacher = net(4)
    >>> teacher.trainable = False
    >>> model = CrossModalDistiller(
    ...     teacher,
    ...     net(6),
    ...     teacher_modality="depth",
    ...     student_modality="rgb",
    ...     distillation_losses=[KD(temperature=4.0), OFSD(loss=DIST())],
    ...     distillation_loss_weights=[1.0, 2.0],
    ... )
    >>> model.compile("adam", metrics=["accuracy"])
    >>> data = {"depth": np.ones((8, 4), "float32"), "rgb": np.ones((8, 6), "float32")}
    >>> history = model.fit(data, np.arange(8) % 3, verbose=0).history
    >>> [name in history for name in ("kd", "ofsd_dist", "krc", "selected")]
    [True, True, True, True]
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
        distillation_losses: Any = None,
        distillation_loss_weights: Any = None,
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
        taps = (teacher_features, student_features)
        self._loss_terms = LossTerms(
            distillation_losses,
            distillation_loss_weights,
            taps,
            taken=(*self.observed_names, *self.term_names),
        )
        self.distillation_losses = self._loss_terms.losses  # tracks those with layers
        self.distillation_loss_weights = self._loss_terms.weights
        self.term_names = (*self.term_names, *self.distillation_losses)
        if self._loss_terms.select:
            names = (*self.observed_names, "krc", "selected")
            self.observed_names = tuple(dict.fromkeys(names))
        self._trackers = {
            name: keras.metrics.Mean(name=name)
            for name in (*self.observed_names, *self.term_names)
        }
        self._training_steps = None
        self._left_out = SimpleNamespace(tracker=None)
        self.count_steps_for(*self._loss_terms.schedules)
        # A plain object: compile() comes after build(), when Keras tracks no more.
        self._compiled_for_teacher = SimpleNamespace(metrics=None)
        if type(self) is CrossModalDistiller:
            self.build_if_known()

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
        self._loss_terms.build(
            (teacher_logits, student_logits), (teacher_features, student_features)
        )

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
        if training and self._training_steps is not None:
            self._training_steps.assign_add(1)
        features = {}
        if self._loss_terms.use_features:
            features["teacher_features"] = teacher_features
            features["student_features"] = student_features
        return {
            "teacher_logits": teacher_logits,
            "student_logits": student_logits,
            **features,
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
            if self.teacher.trainable:
                of_teacher = outputs["teacher_logits"]
                loss += self._compile_loss(y, of_teacher, weights.teacher)
            terms, observed = self.all_terms(x, y, outputs, sample_weight)
            loss += share_of_mean(sum(weight * term for weight, term in terms.values()))
            self._track(terms, observed, ops.shape(y)[0], sample_weight)
        return self._nan_if_out_of_range(loss, y)

    def all_terms(self, x, labels, outputs, sample_weight):
        """Those of the method, then those of the distillation losses."""
        presence = presence_of(self, x)
        complete = presence and presence.complete
        terms, observed = self.distill(labels, outputs, sample_weight, complete)
        if not self.distillation_losses:
            return terms, observed
        mask = self.positions_that_count(labels, outputs["student_logits"], complete)
        more_terms, more_observed = self._loss_terms.evaluate(
            outputs, labels, sample_weight, mask, complete, self.training_step
        )
        return {**terms, **more_terms}, {**more_observed, **observed}

    # === Steps that are left out ===

    @property
    def guarded(self):
        """Whether a step that is not finite leaves everything as it was."""
        return self._left_out.tracker is not None

    def guard_steps(self):
        """Leaves out steps whose inputs, loss or gradients are not finite.

        Their number is logged as `non_finite_steps`. For `NonFiniteGuard`.
        """
        if not self.guarded:
            self._left_out.tracker = keras.metrics.Sum(name="non_finite_steps")
            self.train_function = None  # to be traced anew

    def inputs_that_count(self, x):
        """The inputs, without what stands for a modality that is not there."""
        inputs, presence = self.route(x), presence_of(self, x)
        if presence is None:
            return inputs
        return [fill(*both) for both in zip(inputs, presence, strict=True)]

    def count_left_out(self, finite):
        """One more, unless the step was finite; returns the logs with their number."""
        tracker = self._left_out.tracker
        tracker.update_state(1.0 - ops.cast(finite, "float32"))
        return {**self.get_metrics_result(), tracker.name: tracker.result()}

    def count_steps_for(self, *values):
        """Counts training steps, if one of these is a schedule over them."""
        if self._training_steps is None and any(
            isinstance(v, Schedule) for v in values
        ):
            self._training_steps = self.add_weight(
                shape=(),
                initializer="zeros",
                dtype="int32",
                trainable=False,
                aggregation="only_first_replica",
                name="training_steps",
            )

    @property
    def training_step(self):
        """Steps done before this one, for schedules; None where there is none."""
        if self._training_steps is None:
            return None
        return ops.maximum(self._training_steps - 1, 0)

    def positions_that_count(self, labels, logits, complete):
        """bool like the labels: neither void nor without a modality; None for all."""
        labels = as_class_indices(labels, logits)
        ignored = getattr(self.loss, "ignore_class", None)
        mask = None if ignored is None else ops.not_equal(labels, ignored)
        if complete is not None:
            everywhere = ops.ones_like(labels, "bool") if mask is None else mask
            mask = ops.logical_and(everywhere, align(complete, labels))
        return mask

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
        more = (of_teacher, self._left_out.tracker)
        return super().metrics + [m for m in more if m is not None]

    def _track(self, terms, observed, batch_size, sample_weight):
        for name, (_, term) in terms.items():
            self._trackers[name].update_state(term, sample_weight=batch_size)
        for name, (value, mask) in observed.items():
            mask = without_weightless(value, mask, sample_weight)
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

    # === Saving ===

    def get_config(self):
        models = {
            "teacher": keras.saving.serialize_keras_object(self.teacher),
            "student": keras.saving.serialize_keras_object(self.student),
        }
        names = ("teacher_modality", "student_modality")
        names += ("teacher_features", "student_features")
        settings = {name: getattr(self, name) for name in names}
        settings.update(self._loss_terms.get_config())
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
