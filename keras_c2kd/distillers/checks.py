"""What can be known to be wrong before training starts, each in one sentence."""

import inspect
from typing import Any

import keras
import numpy as np

from keras_c2kd.distillers.taps import is_functional

_NOT_LOGITS = ("softmax", "sigmoid", "log_softmax")
_MULTI_LABEL = ("binary_crossentropy", "binary_focal_crossentropy")


def check_models(teacher: Any, student: Any) -> None:
    """Two different Keras models, neither of which ends in probabilities."""
    for role, model in (("teacher", teacher), ("student", student)):
        if not isinstance(model, keras.Model):
            raise ValueError(
                f"Expected `{role}` to be a keras.Model. "
                f"Received: {role}={model!r} of type {type(model).__name__}"
            )
        activation = final_activation(model)
        if activation in _NOT_LOGITS:
            raise ValueError(
                f"Expected the {role} to return logits, without a final activation; "
                "soft labels of probabilities would be wrong without a sign of it. "
                f"Received: {role} ending in {activation!r}"
            )
    if teacher is student:
        raise ValueError(
            "Expected two models. Received: the same model as teacher and student"
        )


def check_names(**names: Any) -> None:
    """Modalities are dict keys and feature taps are layer names."""
    for argument, name in names.items():
        optional = argument.endswith("_features")
        if not (isinstance(name, str) and name) and not (optional and name is None):
            raise ValueError(
                f"Expected `{argument}` to be a name"
                f"{' or None' if optional else ''}. Received: {argument}={name!r}"
            )


def check_layer(argument: str, layer: Any, kind: type = keras.Layer) -> None:
    """An argument that is a layer of some kind, or None for its default."""
    if layer is not None and not isinstance(layer, kind):
        raise ValueError(
            f"Expected `{argument}` to be a {kind.__name__} or None. "
            f"Received: {argument}={layer!r}"
        )


def final_activation(model: keras.Model) -> str | None:
    """Name of the activation that makes the output of a Functional model."""
    if not is_functional(model) or len(model.outputs) != 1:
        return None
    layer = model.outputs[0]._keras_history.operation
    if isinstance(layer, keras.layers.Softmax):
        return "softmax"
    return getattr(getattr(layer, "activation", None), "__name__", None)


def check_classes(teacher_logits: Any, student_logits: Any) -> int:
    """The number of classes both models share, at least two."""
    shapes = tuple(teacher_logits.shape), tuple(student_logits.shape)
    received = "Received: teacher logits {}, student logits {}".format(*shapes)
    teacher_classes, student_classes = shapes[0][-1], shapes[1][-1]
    if teacher_classes != student_classes:
        raise ValueError(
            "Expected the teacher and the student to have the same number of classes. "
            + received
        )
    if student_classes is None or student_classes < 2:
        raise ValueError(
            "Expected at least two classes, known when the models are built: with one "
            "there is nothing to rank and nothing to distil. " + received
        )
    return student_classes


def check_loss(loss: Any) -> Any:
    """The task loss, which must work on logits and on one label a sample."""
    if loss is None:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if isinstance(loss, (dict, list, tuple)):
        raise ValueError(
            "Expected one task loss, which both models are trained with. "
            f"Received: loss={loss!r}"
        )
    function = keras.losses.get(loss)
    name = getattr(function, "name", None) or getattr(function, "__name__", "")
    if name in _MULTI_LABEL:
        raise ValueError(
            "Expected a loss for one label per sample (sparse or one-hot): the target "
            "class of a multi-label sample, which C2KD leaves out, is not defined. "
            f"Received: loss={loss!r}"
        )
    if expects_probabilities(function):
        raise ValueError(
            "Expected a loss on logits, such as the default "
            "keras.losses.SparseCategoricalCrossentropy(from_logits=True); one on "
            "probabilities would be silently wrong. "
            f"Received: loss={loss!r}, which has from_logits=False"
        )
    return loss


def expects_probabilities(loss: Any) -> bool:
    """Whether a loss object or function reads its predictions as probabilities."""
    if isinstance(loss, (keras.losses.KLDivergence, keras.losses.Poisson)):
        return True
    if isinstance(loss, keras.losses.Loss):
        return getattr(loss, "from_logits", None) is False or (
            getattr(loss, "_fn_kwargs", {}).get("from_logits") is False
        )
    parameter = inspect.signature(loss).parameters.get("from_logits")
    return parameter is not None and parameter.default is False


def is_sparse(loss: Any) -> bool:
    """Whether a loss takes integer labels."""
    function = keras.losses.get(loss)
    name = getattr(function, "name", None) or getattr(function, "__name__", "")
    return "sparse" in name


def check_labels(labels: Any, logits: Any, loss: Any) -> None:
    """Shape and dtype of a batch of labels, known while the step is traced."""
    check_label_shape(labels, logits, loss)
    if is_sparse(loss):
        dtype = keras.backend.standardize_dtype(labels.dtype)
        check_integers(dtype, logits.shape[-1])


def check_label_shape(labels: Any, logits: Any, loss: Any) -> None:
    """One label for each row of the logits, in the form that the loss takes."""
    if labels is None:
        raise ValueError(
            "Expected labels beside the inputs: both models have a task loss. "
            "Received: inputs alone"
        )
    shape, rank, classes = tuple(labels.shape), len(logits.shape), logits.shape[-1]
    if is_sparse(loss):
        a_column = len(shape) == rank and shape[-1] in (1, None)
        if len(shape) != rank - 1 and not a_column:
            raise ValueError(
                f"Expected integer labels of {rank - 1} axes; one-hot labels go with "
                "loss=keras.losses.CategoricalCrossentropy(from_logits=True). "
                f"Received: labels of shape {shape}"
            )
    elif isinstance(loss, keras.losses.CategoricalCrossentropy) and (
        len(shape) != rank or shape[-1] not in (classes, None)
    ):
        raise ValueError(
            f"Expected one-hot labels with {classes} classes on the last axis; integer "
            "labels go with the default loss. "
            f"Received: labels of shape {shape}"
        )


def check_label_spec(distiller: Any, labels: Any) -> None:
    """The same before the first batch, where the models' outputs are known by then."""
    if distiller.logits_spec is not None and hasattr(labels, "shape"):
        check_labels(labels, distiller.logits_spec, distiller.loss)


def check_integers(dtype: str, classes: int | None) -> None:
    """The dtype that the labels of a sparse loss must have."""
    if "int" not in dtype:
        raise ValueError(
            f"Expected integer labels, 0 to {(classes or 2) - 1}; cast them where the "
            f"dataset is made. Received: labels of dtype {dtype}"
        )


def check_label_values(labels: Any, classes: int | None, loss: Any) -> None:
    """Values of labels that are at hand as an array."""
    labels = keras.ops.convert_to_numpy(labels)
    if not labels.size:
        raise ValueError(
            f"Expected at least one sample. Received: labels of shape {labels.shape}"
        )
    if is_sparse(loss):
        check_integers(str(labels.dtype), classes)
        ignored = getattr(loss, "ignore_class", None)
        values = labels[labels != ignored] if ignored is not None else labels
        if classes and values.size and not 0 <= values.min() <= values.max() < classes:
            raise ValueError(
                f"Expected labels from 0 to {classes - 1}, the models having {classes} "
                f"classes. Received: labels from {values.min()} to {values.max()}"
            )
    elif isinstance(loss, keras.losses.CategoricalCrossentropy) and (
        labels.ndim > 1 and labels.shape[-1] == classes
    ):
        totals = labels.sum(axis=-1)
        if not np.allclose(totals, 1.0, atol=1e-3):
            raise ValueError(
                "Expected one label per sample, rows that sum to 1; multi-label "
                "targets have no single target class to leave out. "
                f"Received: rows that sum to {totals.min():g} to {totals.max():g}"
            )


def check_pair(distiller: Any, inputs: Any) -> None:
    """Training needs both modalities, inference the student's alone."""
    if distiller.route(inputs)[0] is None:
        raise ValueError(
            f"Expected inputs with the keys {distiller.teacher_modality!r} (teacher) "
            f"and {distiller.student_modality!r} (student) to train on. "
            "Received: the student's modality alone"
        )


def check_data(distiller: Any, x: Any, y: Any = None, training: bool = False) -> None:
    """Whatever of a dataset can be looked at without using up a batch of it."""
    if not distiller.compiled:
        raise ValueError(
            "Expected a compiled model: call compile(optimizer) first. "
            "Received: a model that was not compiled"
        )
    check_inputs = check_pair if training else route
    if isinstance(x, (dict, list, tuple)) or hasattr(x, "shape"):
        check_inputs(distiller, x)
        if y is None:
            raise ValueError(
                "Expected labels beside the inputs: both models have a task loss. "
                "Received: y=None"
            )
        check_label_values(y, distiller.num_classes, distiller.loss)
        check_label_spec(distiller, y)
    elif hasattr(x, "element_spec"):
        spec = x.element_spec
        check_inputs(distiller, spec[0] if isinstance(spec, tuple) else spec)
        if isinstance(spec, tuple) and len(spec) > 1:
            check_label_spec(distiller, spec[1])
        if int(x.cardinality()) == 0:
            raise ValueError(
                "Expected a dataset of at least one batch; with drop_remainder=True a "
                "set smaller than a batch is dropped whole. "
                f"Received: an empty dataset, {x!r}"
            )
    elif isinstance(x, keras.utils.PyDataset) and x.num_batches == 0:
        raise ValueError(
            f"Expected a PyDataset of at least one batch. Received: {x!r} of length 0"
        )


def route(distiller: Any, inputs: Any) -> tuple[Any, Any]:
    """`(teacher's input or None, student's input)` of whatever was passed as inputs."""
    teacher_key, student_key = distiller.teacher_modality, distiller.student_modality
    if isinstance(inputs, dict):
        if student_key in inputs:
            return inputs.get(teacher_key), inputs[student_key]
        if teacher_key in inputs or not takes_dict(distiller.student, inputs):
            raise ValueError(
                f"Expected inputs with the keys {teacher_key!r} (teacher) and "
                f"{student_key!r} (student), or the student's alone. "
                f"Received: keys {sorted(inputs)}"
            )
        return None, inputs
    if isinstance(inputs, (list, tuple)):
        if len(inputs) != 2:
            raise ValueError(
                f"Expected the pair (teacher input {teacher_key!r}, student input "
                f"{student_key!r}). "
                f"Received: a {type(inputs).__name__} of {len(inputs)}"
            )
        return tuple(inputs)
    return None, inputs


def takes_dict(model: keras.Model, inputs: dict) -> bool:
    """Whether a dict is the model's own input, as tokens with a padding mask are."""
    if not is_functional(model):
        return True
    return isinstance(model.input, dict) and set(model.input) <= set(inputs)
