"""Small models, data and comparisons for tests."""

import keras
import numpy as np
from keras import layers


def relative_error(ours, reference):
    """||a - b|| / ||b||, absolute where b is 0."""
    ours = np.asarray(keras.ops.convert_to_numpy(ours), "float64")
    reference = np.asarray(reference, "float64")
    norm = np.linalg.norm(reference)
    return np.linalg.norm(ours - reference) / (norm if norm > 0 else 1.0)


def dense_net(width, classes=3, hidden=16, name=None, dropout=0.0):
    """Inputs (B, width) to logits, with a layer named "features"."""
    x = inputs = keras.Input((width,))
    x = layers.Dense(hidden, activation="relu", name="features")(x)
    x = layers.Dropout(dropout, seed=1)(x)
    return keras.Model(inputs, layers.Dense(classes, name="logits")(x), name=name)


def conv_net(channels, classes=3, nested=False, name=None):
    """Images (B, 8, 8, channels) to logits; "stage" or "backbone/stage" is tapped."""
    x = inputs = keras.Input((8, 8, channels))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(name="stage")(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", name="stage_2")(x)
    if nested:
        backbone = keras.Model(inputs, x, name="backbone")
        inputs = keras.Input((8, 8, channels))
        x = backbone(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x), name=name)


def pairs(n=24, classes=3, widths=(4, 6), seed=0):
    """Learnable paired vectors {"depth", "rgb"} and labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n, dtype="int32") % classes
    means = rng.normal(size=(2, classes, max(widths))) * 2
    depth, rgb = (
        (means[i, labels, :w] + rng.normal(size=(n, w))).astype("float32")
        for i, w in enumerate(widths)
    )
    return {"depth": depth, "rgb": rgb}, labels


def distiller(compiled=True, teacher=None, student=None, **kwargs):
    """A small C2KD on `dense_net`s."""
    from keras_c2kd import C2KD

    model = C2KD(
        teacher or dense_net(4, name="teacher"),
        student or dense_net(6, name="student"),
        **{
            "teacher_modality": "depth",
            "student_modality": "rgb",
            "teacher_features": "features",
            "student_features": "features",
            **kwargs,
        },
    )
    if compiled:
        model.compile(keras.optimizers.SGD(0.05, momentum=0.9), metrics=["accuracy"])
    return model


def gradients(function, arrays):
    """d function / d arrays with whatever backend is active, as NumPy arrays."""
    backend = keras.config.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        tensors = [tf.convert_to_tensor(a) for a in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = function(*tensors)
        return [
            np.zeros_like(a) if g is None else g.numpy()
            for a, g in zip(arrays, tape.gradient(value, tensors), strict=True)
        ]
    if backend == "jax":
        import jax

        grads = jax.grad(function, argnums=tuple(range(len(arrays))))(*arrays)
        return [np.asarray(g) for g in grads]
    import torch

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    grads = torch.autograd.grad(function(*tensors), tensors, allow_unused=True)
    return [
        np.zeros_like(a) if g is None else g.numpy()
        for a, g in zip(arrays, grads, strict=True)
    ]


def weights_of(model):
    return [np.array(w) for w in model.get_weights()]


def assert_same(one, two, **tolerance):
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a, b, **tolerance)


def check_weight_zero_teaches_nothing(model):
    """A step of `model` is the same whatever samples of weight 0 hold."""
    x, y = pairs()
    weight = np.arange(24) % 3 % 2 * 1.5
    there = weight > 0
    others = {key: np.where(there[:, None], rows, -9 * rows) for key, rows in x.items()}
    model.compile(keras.optimizers.SGD(0.1))
    start, ends = model.get_weights(), []
    for data, labels in ((x, y), (others, np.where(there, y, 0))):
        model.set_weights(start)
        model.reset_metrics()
        logs = model.train_on_batch(data, labels, weight, return_dict=True)
        ends.append([*weights_of(model), *logs.values()])
    assert_same(*ends, atol=1e-6)


class Pairs(keras.utils.PyDataset):
    def __init__(self, x, y, weight=None):
        super().__init__()
        self.data = (x, y) if weight is None else (x, y, weight)

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rows = slice(8 * index, 8 * index + 8)
        return keras.tree.map_structure(lambda a: a[rows], self.data)
