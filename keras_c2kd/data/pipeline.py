"""From decoded samples to batches for `fit`, with one crop for all modalities."""

from __future__ import annotations

import tensorflow as tf

from keras_c2kd.data.geometry import Crops
from keras_c2kd.data.modality import Draws
from keras_c2kd.data.order import Order
from keras_c2kd.data.store import Decoded


def make_batches(
    decoded: Decoded,
    batch_size: int,
    training: bool,
    seed: int = 0,
    augment: bool = True,
    crops: Crops | None = None,
    epoch: int | None = None,
    start: int = 0,
    replicas: int = 1,
) -> tf.data.Dataset:
    """Makes the dataset that a two-modality model trains or is evaluated on.

    Crop and flip are the same for all modalities of a sample, or their pixels would
    no longer show the same thing; everything else is drawn for each of them.

    Args:
        decoded: from `decode`.
        batch_size: samples per batch.
        training: shuffle, augment, and drop the ragged last batch.
        seed: fixes order and augmentation, together with TensorFlow's global seed
            (`keras.utils.set_random_seed`); each epoch draws new ones.
        augment: `False` trains on the samples as they are.
        crops: how crops are drawn; `None`: `Crops()`.
        epoch: of training, from 0. The dataset is that epoch alone, whatever was
            iterated before, so that a run that was stopped can go on with the batches
            it would have had. `None`: each iteration is a new epoch.
        start: with `epoch`, how many batches to leave out at its beginning.
        replicas: devices that share a batch, see `keras_c2kd.distribution`. With more
            than one, a last batch that is not whole is filled with samples that weigh
            nothing: losses and weighted metrics are those of the others.

    Returns:
        Dataset of `({modality: input}, labels)`; labels are int32 `(B,)`, or what the
        modality `"labels"` prepares, `(B, H, W)`. Where samples are incomplete, the
        inputs have an entry `"present"`, modality to bool `(B,)`, int8 for `replicas`.
        Where a batch was filled for them, `({modality: input}, labels, weights)`.

    Raises:
        ValueError: when `batch_size` is not positive or not a multiple of `replicas`,
            or `start` without `epoch`.

    Example:

    ```python
    train = make_batches(decoded, batch_size=64, training=True, seed=1)
    inputs, labels = next(iter(train))
    ```
    """
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be 1 or more. Received: batch_size={batch_size}"
        )
    if batch_size % replicas:
        raise ValueError(
            f"Expected `batch_size` to be a multiple of the {replicas} devices that "
            f"share a batch. Received: batch_size={batch_size}"
        )
    if start and epoch is None:
        raise ValueError(
            "Expected `epoch` with `start`, since without it the order is drawn anew. "
            f"Received: epoch=None, start={start}"
        )
    order = Order(seed, epoch) if training else None
    # One batch shape in training means one compilation under XLA; but a set
    # smaller than a batch must not become an empty epoch.
    count, drops = len(decoded), training and len(decoded) >= batch_size
    # Keras gives every process the same number of batches only if they are whole.
    filled = -(-count // batch_size) * batch_size
    filled = count if drops or replicas == 1 else filled
    # Whole batches have a size that is known before there is one.
    drops = drops or replicas > 1
    batches = decoded.batches(batch_size, drops, order, start, filled)
    # Keras adds batches of replicas up when it looks at their shapes: no booleans.
    flag = tf.bool if replicas == 1 else tf.int8
    prepare = preparer(decoded, crops or Crops(), flag)
    if training and augment:
        # A stateless map with numbers drawn in order stays reproducible when it
        # runs in parallel; they are drawn anew in every epoch.
        batches = tf.data.Dataset.zip(batches, order.numbers().skip(start))
    batches = batches.map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
    if filled > count:
        weights = weights_of(count, filled).batch(batch_size, drops).skip(start)
        batches = tf.data.Dataset.zip(batches, weights)
        batches = batches.map(lambda batch, weights: (*batch, weights))
    # The next batch is made while the model works on this one.
    return batches.prefetch(tf.data.AUTOTUNE)


def preparer(decoded: Decoded, crops: Crops, flag: tf.DType = tf.bool):
    """A function from a packed batch, and random numbers or none, to model input."""
    with tf.device("CPU:0"):
        labels = tf.constant(decoded.labels)
        present = decoded.samples.present.items()
        present = {name: tf.cast(mask, flag) for name, mask in present}

    def prepare(batch, numbers=None):
        positions = batch["position"]
        draws = draw_all(len(decoded.modalities), positions, numbers, crops)
        inputs = {
            name: modality.prepare(batch[name], draw)
            for (name, modality), draw in zip(
                decoded.modalities.items(), draws, strict=True
            )
        }
        if present:
            inputs["present"] = {
                name: tf.gather(mask, positions) for name, mask in present.items()
            }
        if "labels" in inputs:
            target = inputs.pop("labels")
        else:
            target = tf.gather(labels, positions)
        return inputs, target

    return prepare


def weights_of(count: int, filled: int) -> tf.data.Dataset:
    """Of `filled` samples whose mean is that of the first `count`."""
    weights = tf.data.Dataset.range(filled)
    return weights.map(lambda row: tf.where(row < count, filled / count, 0.0))


def draw_all(count, positions, numbers, crops: Crops) -> list[Draws | None]:
    """The same boxes and another seed for each of `count` modalities."""
    if numbers is None:
        return [None] * count
    seed = tf.cast(tf.bitwise.bitwise_and(numbers, 0x7FFFFFFF), tf.int32)
    box_seed, *seeds = tf.unstack(tf.random.split(seed, 1 + count))
    size = positions.shape[0] or tf.shape(positions)[0]
    boxes = crops.draw(size, box_seed)
    return [Draws(boxes, modality_seed) for modality_seed in seeds]


def one_modality(batches: tf.data.Dataset, modality: str) -> tf.data.Dataset:
    """One modality of a paired dataset, for a model that trains alone.

    Args:
        batches: from `make_batches`.
        modality: its name.

    Returns:
        Dataset of `(input, labels)`; of incomplete samples `(input, labels, weights)`,
        where what is missing weighs nothing and a batch's mean is one over the rest.
        As in `C2KD`, a copy of a row that is there stands in for it.
    """
    if modality not in batches.element_spec[0].get("present", {}):
        return batches.map(lambda inputs, *others: (inputs[modality], *others))

    def weighted(inputs, labels, weights=1.0):
        there = tf.cast(inputs["present"][modality], tf.bool)
        size = tf.shape(there)[0]
        count = tf.maximum(tf.reduce_sum(tf.cast(there, tf.int32)), 1)
        there_first = tf.argsort(tf.cast(~there, tf.int32), stable=True)
        rows = tf.range(size)
        rows = tf.where(there, rows, tf.gather(there_first, rows % count))
        share = tf.cast(size, tf.float32) / tf.cast(count, tf.float32)
        return (
            tf.gather(inputs[modality], rows),
            labels,
            tf.cast(there, tf.float32) * share * weights,
        )

    return batches.map(weighted)
