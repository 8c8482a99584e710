"""C2KD: cross-modal distillation through proxies, with on-the-fly selection."""

from typing import Any

import keras
from keras import ops

from keras_c2kd.distillers import checks
from keras_c2kd.distillers.cross_modal import CrossModalDistiller
from keras_c2kd.distillers.loss_terms import at_step, check_weight
from keras_c2kd.layers.ofsd import OFSD
from keras_c2kd.layers.proxy_head import ProxyHead
from keras_c2kd.losses.c2kd_terms import as_class_indices

_WEIGHTS = ("teacher_proxy_weight", "student_proxy_weight", "cross_modal_weight")


@keras.saving.register_keras_serializable(package="keras_c2kd")
class C2KD(CrossModalDistiller):
    """Distils a teacher of one modality into a student of another, both learning.

    A teacher that sees what the student cannot (depth against colour, sound against
    pictures) gives soft labels that partly mislead it. C2KD lets both train, passes
    knowledge through a proxy head on each, and lets it cross only for samples whose
    proxies rank the classes alike, and only from the non-target classes.

        L = H(f_T, y) + H(f_S, y)
          + teacher_proxy_weight [D(f_T -> p_T) + D(p_T -> f_T)]
          + student_proxy_weight [D(f_S -> p_S) + D(p_S -> f_S)]
          + cross_modal_weight eta [D(~p_T -> ~p_S) + D(~p_S -> ~p_T)]

    The terms are in `keras_c2kd.losses.c2kd_loss_terms`.

    Args:
        teacher: A Keras model that returns logits `(B, ..., C)`; pre-trained, as a
            rule. It is trained too; freeze it with `teacher.trainable = False` before
            `compile`.
        student: A Keras model that returns logits `(B, ..., C)`.
        teacher_modality: Key of the teacher's input in the input dict, as `"depth"`.
        student_modality: Key of the student's input in the input dict, as `"rgb"`.
        teacher_features: Name of the layer whose output feeds the proxy head; a layer
            inside a nested model is `"backbone/stage3"`; `None` for a model that
            returns `{"logits": ..., "features": ...}`.
        student_features: The same for the student.
        teacher_proxy: A layer from features to logits; default `ProxyHead(C)`.
        student_proxy: The same for the student.
        ofsd: The selection and its settings; default `OFSD()`.
        teacher_proxy_weight: `l1` of the paper, at least 0; this and the next two may
            be Keras `LearningRateSchedule`s over training steps, for a warm-up.
        student_proxy_weight: `l2` of the paper.
        cross_modal_weight: `l3` of the paper.
        bidirectional: False keeps one way alone, from the teacher to its proxy, to the
            student's proxy, to the student; the other three `D` weigh 0.
        proxies: False lets the two models teach each other without proxies: `p` is `f`,
            and the unimodal terms are 0.
        **kwargs: `distillation_losses` and `distillation_loss_weights` are added to
            the loss; `name`, `dtype`, `trainable` of `keras.Model`.

    Call arguments:
        inputs: `{teacher_modality: ..., student_modality: ...}`, or the pair
            `(teacher input, student input)`; for inference the student's input alone.
            The dict may hold `"present"`, modality to bool `(B,)`: a sample that lacks
            one takes part in the task loss of the other, and in nothing else.

    Returns:
        On paired inputs a dict of `teacher_logits`, `student_logits`,
        `teacher_proxy_logits` and `student_proxy_logits`; on the student's input alone,
        and from `predict` always, the student's logits.

    Raises:
        ValueError: models that do not go together, unknown layers (the known ones are
            listed), outputs that are no logits.

    Example:

    >>> import keras, numpy as np
    >>> from keras_c2kd import C2KD
    >>> def net(width):
    ...     x = inputs = keras.Input((width,))
    ...     x = keras.layers.Dense(16, activation="relu", name="features")(x)
    ...     return keras.Model(inputs, keras.layers.Dense(3)(x))
    >>> model = C2KD(
    ...     net(4),
    ...     net(6),
    ...     teacher_modality="depth",
    ...     student_modality="rgb",
    ...     teacher_features="features",
    ...     student_features="features",
    ... )
    >>> model.compile("adam", metrics=["accuracy"])
    >>> data = {"depth": np.ones((8, 4), "float32"), "rgb": np.ones((8, 6), "float32")}
    >>> history = model.fit(data, np.arange(8) % 3, verbose=0)
    >>> model.predict(data["rgb"], verbose=0).shape
    (8, 3)

    Reference:
        F. Huo, W. Xu, J. Guo, H. Wang, S. Guo, "C2KD: Bridging the Modality Gap for
        Cross-Modal Knowledge Distillation", CVPR 2024. All weights are 1 in the
        released code.
    """

    term_names = (
        "teacher_to_teacher_proxy",
        "teacher_proxy_to_teacher",
        "student_to_student_proxy",
        "student_proxy_to_student",
        "teacher_proxy_to_student_proxy",
        "student_proxy_to_teacher_proxy",
    )
    observed_names = ("krc", "selected")

    def __init__(
        self,
        teacher: keras.Model,
        student: keras.Model,
        teacher_modality: str,
        student_modality: str,
        teacher_features: str | None = None,
        student_features: str | None = None,
        teacher_proxy: keras.Layer | None = None,
        student_proxy: keras.Layer | None = None,
        ofsd: OFSD | None = None,
        teacher_proxy_weight: float = 1.0,
        student_proxy_weight: float = 1.0,
        cross_modal_weight: float = 1.0,
        bidirectional: bool = True,
        proxies: bool = True,
        **kwargs: Any,
    ):
        super().__init__(
            teacher,
            student,
            teacher_modality,
            student_modality,
            teacher_features,
            student_features,
            **kwargs,
        )
        checks.check_layer("teacher_proxy", teacher_proxy)
        checks.check_layer("student_proxy", student_proxy)
        checks.check_layer("ofsd", ofsd, kind=OFSD)
        self.teacher_proxy = teacher_proxy
        self.student_proxy = student_proxy
        self.ofsd = OFSD() if ofsd is None else ofsd
        self.teacher_proxy_weight = teacher_proxy_weight
        self.student_proxy_weight = student_proxy_weight
        self.cross_modal_weight = cross_modal_weight
        self.bidirectional = bidirectional
        self.proxies = proxies
        if self.ofsd.loss is not None:
            raise ValueError(
                "Expected an `ofsd` without a loss of its own: in C2KD it selects for "
                "the two cross-modal terms. OFSD(loss=...) is one of the "
                f"`distillation_losses`. Received: loss={self.ofsd.loss!r}"
            )
        if not proxies and not (teacher_proxy is None and student_proxy is None):
            raise ValueError(
                "Expected no proxies to be given with proxies=False. "
                f"Received: {teacher_proxy=}, {student_proxy=}"
            )
        for name in _WEIGHTS:
            check_weight(name, getattr(self, name))
        self.count_steps_for(
            self.ofsd.threshold, *(getattr(self, name) for name in _WEIGHTS)
        )
        self.build_if_known()

    def build_heads(self, teacher_features, student_features, student_logits):
        if not self.proxies:
            return
        self.teacher_proxy = self._proxy("teacher", teacher_features, student_logits)
        self.student_proxy = self._proxy("student", student_features, student_logits)

    def heads(
        self, teacher_features, student_features, student_logits, training, complete
    ):
        if not self.proxies:
            return {}
        # Statistics of the proxies' BatchNorm are those of the samples that count.
        options = {} if complete is None else {"present": complete}
        teacher, student = (
            proxy(x, training=training, **(options if _is_ours(proxy) else {}))
            for proxy, x in (
                (self.teacher_proxy, teacher_features),
                (self.student_proxy, student_features),
            )
        )
        return {
            "teacher_proxy_logits": _on_grid(teacher, student_logits),
            "student_proxy_logits": _on_grid(student, student_logits),
        }

    def distill(self, labels, outputs, sample_weight, complete):
        labels = as_class_indices(labels, outputs["student_logits"])
        mask = self.positions_that_count(labels, outputs["student_logits"], complete)
        step = self.training_step
        terms = self.ofsd(
            labels,
            **self._logits(outputs),
            sample_weight=sample_weight,
            mask=mask,
            step=step,
        )
        observed = {name: (terms.pop(name), mask) for name in ("krc", "selected")}
        l1, l2, l3 = (at_step(getattr(self, name), step) for name in _WEIGHTS)
        back = 1.0 if self.bidirectional else 0.0
        weights = (l1, l1 * back, l2 * back, l2, l3, l3 * back)
        weights = dict(zip(C2KD.term_names, weights, strict=True))
        return {name: (weights[name], term) for name, term in terms.items()}, observed

    def _logits(self, outputs):
        names = ("teacher_logits", "student_logits")
        proxies = ("teacher_proxy_logits", "student_proxy_logits")
        logits = {name: outputs[name] for name in names}
        sources = proxies if self.proxies else names
        return logits | {
            proxy: outputs[name] for proxy, name in zip(proxies, sources, strict=True)
        }

    def get_config(self):
        layers = ("teacher_proxy", "student_proxy", "ofsd", *_WEIGHTS)
        return {
            **super().get_config(),
            **{
                name: keras.saving.serialize_keras_object(getattr(self, name))
                for name in layers
            },
            "bidirectional": self.bidirectional,
            "proxies": self.proxies,
        }

    def _proxy(self, role, features, logits):
        if features is None:
            model = getattr(self, role)
            names = ", ".join(layer.name for layer in model.layers)
            raise ValueError(
                f"Expected `{role}_features` to name the layer that feeds the {role}'s "
                f"proxy head, one of {names}; or a {role} that returns "
                '{"logits": ..., "features": ...}. '
                f"Received: {role}_features=None"
            )
        proxy = getattr(self, f"{role}_proxy")
        if proxy is None:
            pooling = "average" if len(logits.shape) == 2 else None
            proxy = ProxyHead(
                self.num_classes,
                pooling=pooling,
                dtype=self.dtype_policy,
                name=f"{role}_proxy",
            )
        if not proxy.built:
            proxy.build(tuple(features.shape))
        shape = proxy.compute_output_shape(tuple(features.shape))
        if shape[-1] != self.num_classes or len(shape) != len(logits.shape):
            raise ValueError(
                f"Expected `{role}_proxy` to return logits like {tuple(logits.shape)}. "
                f"Received: {role}_proxy with outputs of shape {tuple(shape)}"
            )
        return proxy


def _is_ours(proxy):
    return isinstance(proxy, ProxyHead)


def _on_grid(proxy_logits, logits):
    """Proxy logits of a coarser feature map, on the positions that have labels."""
    grid = tuple(logits.shape)[1:-1]
    if tuple(proxy_logits.shape)[1:-1] == grid:
        return proxy_logits
    return ops.image.resize(proxy_logits, grid, data_format="channels_last")
