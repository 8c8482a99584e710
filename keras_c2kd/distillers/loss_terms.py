"""The distillation losses of a distiller: their names, weights, inputs and values."""

import math
import re
from numbers import Real
from typing import Any

import keras
from keras import ops

from keras_c2kd.backend import mean_over_replicas
from keras_c2kd.layers.ofsd import OFSD
from keras_c2kd.losses.c2kd_terms import as_class_indices
from keras_c2kd.losses.distillation import DistillationLoss, weights_of_samples
from keras_c2kd.ops.reduction import align

Schedule = keras.optimizers.schedules.LearningRateSchedule
LOGGED = ("loss", "krc", "selected")  # by Keras, and by every OFSD
_LAYER_NAMES = ("teacher_layer_name", "student_layer_name")


class LossTerms:
    """Named losses between a teacher and a student, each with a weight.

    No Keras object on purpose: the distiller tracks the losses that are layers.

    Args:
        losses: a `keras.distillation.DistillationLoss`, a list or a dict of them.
        weights: a number or a `LearningRateSchedule`, a list, or a dict by name.
        taps: the names of the layers that the distiller taps.
        taken: names that the distiller's own terms have in the logs.

    Raises:
        ValueError: no such losses, names that are taken, weights that are none, or a
            Keras loss that names other layers than those that are tapped.
    """

    def __init__(
        self,
        losses: Any,
        weights: Any,
        taps: tuple[str | None, str | None],
        taken: tuple[str, ...] = (),
    ):
        self.losses = named(losses)
        check_names(self.losses, {*taken, *LOGGED})
        self.weights = weights_by_name(weights, self.losses)
        for loss in self.losses.values():
            check_taps(loss, taps)
        kinds = {uses(loss) for loss in self.losses.values()}
        self.use_features = "features" in kinds
        self.select = any(isinstance(loss, OFSD) for loss in self.losses.values())

    @property
    def schedules(self):
        """All that may be a schedule over training steps."""
        thresholds = [getattr(x, "threshold", None) for x in self.losses.values()]
        return [*self.weights.values(), *thresholds]

    def build(self, logits: tuple[Any, Any], features: tuple[Any, Any]) -> None:
        """Creates the layers of losses that have some; features must be there."""
        for name, loss in self.losses.items():
            of_both = features if uses(loss) == "features" else logits
            if None in [x if x is None else 0 for x in of_both]:
                raise ValueError(
                    "Expected `teacher_features` and `student_features` to name the "
                    f"layers whose outputs the loss {name!r} compares; or models that "
                    'return {"logits": ..., "features": ...}. Received: '
                    f"teacher features {of_both[0]}, student features {of_both[1]}"
                )
            positions = [tuple(x.shape)[1:-1] for x in of_both]
            if uses(loss) == "logits" and positions[0] != positions[1]:
                raise ValueError(
                    f"Expected logits of one shape for the loss {name!r}. Received: "
                    f"teacher logits {tuple(of_both[0].shape)}, "
                    f"student logits {tuple(of_both[1].shape)}"
                )
            if isinstance(loss, keras.Layer) and not loss.built:
                loss.build(*(tuple(x.shape) for x in of_both))

    def evaluate(self, outputs, labels, sample_weight, mask, complete, step):
        """`({name: (weight, scalar)}, {name: (value per sample, mask)})`.

        `mask`, like the labels, says which positions count, `complete`, `(B,)`, which
        samples; None is all.
        """
        terms, observed = {}, {}
        for name, loss in self.losses.items():
            kind = uses(loss)
            of_both = [outputs[f"{role}_{kind}"] for role in ("teacher", "student")]
            counts = mask if kind == "logits" else complete
            term, selection = evaluate(
                loss, *of_both, labels, sample_weight, counts, step
            )
            terms[name] = at_step(self.weights[name], step), term
            observed.update({k: (value, mask) for k, value in selection.items()})
        return terms, observed

    def get_config(self):
        """Arguments of a distiller; none where there is no loss."""
        both = {
            "distillation_losses": self.losses,
            "distillation_loss_weights": self.weights,
        }
        return {
            argument: {
                name: keras.saving.serialize_keras_object(value)
                for name, value in values.items()
            }
            for argument, values in both.items()
            if values
        }


def named(losses: Any) -> dict[str, keras.distillation.DistillationLoss]:
    """One loss, a list or a dict of them, as a dict; names are those of the classes."""
    if losses is None:
        return {}
    if isinstance(losses, dict):
        result = dict(losses)
    else:
        result = {}
        for loss in losses if isinstance(losses, (list, tuple)) else [losses]:
            result[_unused(_name_of(loss), result)] = loss
    for loss in result.values():
        if not isinstance(loss, keras.distillation.DistillationLoss):
            raise ValueError(
                "Expected `distillation_losses` to be instances of "
                "keras.distillation.DistillationLoss, as those in keras_c2kd.losses. "
                f"Received: {loss!r}"
            )
        if isinstance(loss, OFSD) and loss.loss is None:
            raise ValueError(
                "Expected OFSD(loss=...) among `distillation_losses`; without a loss "
                "it is the `ofsd` of C2KD. Received: OFSD with loss=None"
            )
    return result


def check_names(losses: Any, taken: set[str]) -> None:
    """Two terms of one name would be one in the logs, and in the loss."""
    for name in losses:
        if not isinstance(name, str) or not name or name in taken:
            raise ValueError(
                "Expected names of `distillation_losses` that are strings and none of "
                f"{sorted(taken)}, which the distiller logs itself. "
                f"Received: {name!r}"
            )


def weights_by_name(weights: Any, losses: dict[str, Any]) -> dict[str, Any]:
    """A weight for each loss: a number of at least 0, or a schedule of one."""
    names = list(losses)
    if weights is not None and not losses:
        raise ValueError(
            "Expected `distillation_losses` where there are `distillation_loss_weights`"
            f". Received: distillation_loss_weights={weights!r}"
        )
    if weights is None:
        weights = {}
    elif isinstance(weights, (Real, Schedule)):
        weights = [weights] * len(names)
    if isinstance(weights, (list, tuple)) and len(weights) == len(names):
        weights = dict(zip(names, weights, strict=True))
    if not isinstance(weights, dict) or not set(weights) <= set(names):
        raise ValueError(
            "Expected `distillation_loss_weights` to be one weight for each of the "
            f"distillation losses {names}, as a list or by name. Received: {weights!r}"
        )
    for name, weight in weights.items():
        check_weight(name, weight)
    return {name: weights.get(name, 1.0) for name in names}


def check_weight(name: str, weight: Any) -> None:
    """A finite number of at least 0, or a Keras `LearningRateSchedule`."""
    number = isinstance(weight, Real) and math.isfinite(weight) and weight >= 0.0
    if number or isinstance(weight, Schedule):
        return
    raise ValueError(
        f"Expected the weight `{name}` to be a finite number of at least 0, or a "
        f"schedule of one over training steps. Received: {name}={weight!r}"
    )


def at_step(weight: Any, step: Any) -> Any:
    """What a weight is at a training step."""
    return weight(step) if isinstance(weight, Schedule) else weight


def uses(loss: Any) -> str:
    """`"logits"` or `"features"`; Keras's own losses say it by the layers they name."""
    if isinstance(loss, DistillationLoss):
        return loss.uses
    layers = [getattr(loss, name, None) for name in _LAYER_NAMES]
    return "logits" if layers == [None, None] else "features"


def check_taps(loss: Any, taps: tuple[str | None, str | None]) -> None:
    """A Keras loss that names layers must name those that are tapped."""
    layers = tuple(getattr(loss, name, None) for name in _LAYER_NAMES)
    if layers != (None, None) and layers != taps:
        raise ValueError(
            "Expected the layers of a keras.distillation loss to be those that the "
            f"distiller taps, teacher_features={taps[0]!r} and "
            f"student_features={taps[1]!r}. Received: teacher_layer_name="
            f"{layers[0]!r}, student_layer_name={layers[1]!r}"
        )


def evaluate(
    loss: Any,
    teacher: Any,
    student: Any,
    labels: Any,
    sample_weight: Any,
    mask: Any,
    step: Any,
) -> tuple[Any, dict[str, Any]]:
    """The value of one loss on a batch, and what a selection let through.

    Args:
        loss: any `keras.distillation.DistillationLoss`.
        teacher: logits or features.
        student: the same.
        labels: as they came.
        sample_weight: `None`, `(B,)` or `(B, ...)`.
        mask: `None`, or bool `(B, ...)`: a position where False leaves the denominator.
        step: training steps so far, or `None`.

    Returns:
        A scalar, and `{"krc": ..., "selected": ...}` or nothing.
    """
    if not isinstance(loss, DistillationLoss):
        if sample_weight is not None or mask is not None:
            raise ValueError(
                f"Expected no sample weights, void labels or missing modalities with "
                f"keras.distillation.{type(loss).__name__}, which has no place for "
                "them; the losses of keras_c2kd.losses have. "
                "Received: sample_weight or mask"
            )
        teacher = keras.tree.map_structure(ops.stop_gradient, teacher)
        return loss.compute_loss(teacher, student), {}
    if uses(loss) == "features":
        sample_weight = weights_of_samples(sample_weight)
    if mask is not None:
        indices = as_class_indices(labels, student) if uses(loss) == "logits" else None
        labels = indices if indices is None else ops.where(mask, indices, 0)
        sample_weight = _over_what_is_there(mask, sample_weight)
    if not isinstance(loss, OFSD):
        return loss.compute_loss(teacher, student, labels, sample_weight), {}
    value, krc, selected = loss.selected_loss(
        teacher, student, labels, sample_weight, mask, step
    )
    return value, {"krc": krc, "selected": selected}


def _over_what_is_there(mask, sample_weight):
    """Weights under which a mean over the batch is one over what is not masked."""
    share = ops.cast(mask, "float32")
    weight = share / ops.maximum(mean_over_replicas(ops.mean(share)), 1e-9)
    if sample_weight is None:
        return weight
    return weight * align(ops.cast(sample_weight, "float32"), weight)


def _name_of(loss):
    if isinstance(loss, OFSD) and loss.loss is not None:
        return f"ofsd_{_name_of(loss.loss)}"
    name = type(loss).__name__
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _unused(name, taken):
    number = 2
    unused = name
    while unused in taken:
        unused, number = f"{name}_{number}", number + 1
    return unused
