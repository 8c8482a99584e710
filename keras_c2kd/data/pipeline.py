"""From decoded pairs to batches for `fit`, with one augmentation for all modalities."""

from __future__ import annotations

import tensorflow as tf

from keras_c2kd.data.pairs import DecodedPairs

_SMALLEST_CROP = 0.75  # of a side: what tells a room often stands at its edge
_BRIGHTNESS = 24.0  # of 255
_CONTRAST = 0.2


def make_batches(
    pairs: DecodedPairs,
    batch_size: int,
    training: bool,
    seed: int = 0,
    augment: bool = True,
) -> tf.data.Dataset:
    """Makes the dataset that a two-modality model trains or is evaluated on.

    Crop and flip are the same for both modalities, or their pixels would no
    longer show the same thing; brightness and contrast change in rgb only.

    Args:
        pairs: decoded samples with the modalities `"rgb"` and `"depth"`.
        batch_size: samples per batch.
        training: shuffle, augment, and drop the ragged last batch.
        seed: fixes order and augmentation, together with TensorFlow's global seed
            (`keras.utils.set_random_seed`); each epoch draws new ones.
        augment: `False` trains on the images as they are.

    Returns:
        Dataset of `({"rgb", "depth"}, labels)`: float32 `(B, S, S, 3)` in 0..255,
        float32 `(B, S, S, 1)` in metres (0 = no reading), int32 `(B,)`.

    Raises:
        ValueError: when `batch_size` is not positive.

    Example:

    ```python
    train = make_batches(pairs, batch_size=64, training=True, seed=1)
    inputs, labels = next(iter(train))
    ```
    """
    if batch_size < 1:
        raise ValueError(
            f"`batch_size` must be 1 or more. Received: batch_size={batch_size}"
        )
    with tf.device("CPU:0"):
        rgb, depth, labels = (
            tf.constant(array)
            for array in (pairs.arrays["rgb"], pairs.arrays["depth"], pairs.labels)
        )

    def gather(positions):
        inputs = {
            "rgb": tf.cast(tf.gather(rgb, positions), tf.float32),
            "depth": tf.cast(tf.gather(depth, positions), tf.float32) / 1000.0,
        }
        return inputs, tf.gather(labels, positions)

    # Positions, not images, go through the shuffle: a buffer of the whole set
    # costs nothing, so every order is equally likely.
    positions = tf.data.Dataset.range(len(pairs))
    if training:
        positions = positions.shuffle(
            len(pairs), seed=seed, reshuffle_each_iteration=True
        )
    # One batch shape in training means one compilation under XLA; but a set
    # smaller than a batch must not become an empty epoch.
    positions = positions.batch(
        batch_size, drop_remainder=training and len(pairs) >= batch_size
    )
    # Gathering and augmenting whole batches: a few large ops, no loop over images.
    batches = positions.map(gather, num_parallel_calls=tf.data.AUTOTUNE)
    if training and augment:
        # A stateless map with numbers drawn in order stays reproducible when it
        # runs in parallel; they are drawn anew in every epoch.
        seeds = tf.data.Dataset.random(seed, rerandomize_each_iteration=True).batch(2)
        batches = tf.data.Dataset.zip(batches, seeds).map(
            lambda batch, numbers: (augment_batch(batch[0], numbers), batch[1]),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
    # The next batch is made while the model works on this one.
    return batches.prefetch(tf.data.AUTOTUNE)


def augment_batch(inputs: dict[str, tf.Tensor], seed: tf.Tensor) -> dict:
    """Crops, flips and recolours a batch; the same seed gives the same result.

    Args:
        inputs: `"rgb"` float32 `(B, S, S, 3)` in 0..255, `"depth"` float32
            `(B, S, S, 1)` in metres.
        seed: two integers.

    Returns:
        The same keys, shapes and units.
    """
    seed = tf.cast(tf.bitwise.bitwise_and(seed, 0x7FFFFFFF), tf.int32)
    box_seed, colour_seed = tf.unstack(tf.random.split(seed, 2))
    boxes = random_boxes(tf.shape(inputs["rgb"])[0], box_seed)
    return {
        "rgb": jitter_colours(crop(inputs["rgb"], boxes, "bilinear"), colour_seed),
        "depth": crop(inputs["depth"], boxes, "nearest"),  # holes stay holes
    }


def random_boxes(count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Draws crops; every second one on average is mirrored (left and right swapped).

    Args:
        count: how many.
        seed: two integers.

    Returns:
        float32 `(count, 4)`: top, left, bottom, right as fractions of the image.
    """
    draws = tf.random.stateless_uniform((count, 4), seed)
    size = _SMALLEST_CROP + (1.0 - _SMALLEST_CROP) * draws[:, 0]
    top, left = draws[:, 1] * (1.0 - size), draws[:, 2] * (1.0 - size)
    bottom, right = top + size, left + size
    mirrored = draws[:, 3] < 0.5
    return tf.stack(
        [top, tf.where(mirrored, right, left), bottom, tf.where(mirrored, left, right)],
        axis=1,
    )


def crop(images: tf.Tensor, boxes: tf.Tensor, method: str) -> tf.Tensor:
    """Cuts one box out of each image and resizes it to the image's size.

    Args:
        images: float32 `(B, S, S, C)`.
        boxes: float32 `(B, 4)` from `random_boxes`.
        method: `"bilinear"` or `"nearest"`.

    Returns:
        float32 `(B, S, S, C)`.
    """
    cropped = tf.image.crop_and_resize(
        images, boxes, tf.range(tf.shape(images)[0]), tf.shape(images)[1:3], method
    )
    return tf.ensure_shape(cropped, images.shape)


def jitter_colours(rgb: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes contrast and brightness, differently for each image.

    Args:
        rgb: float32 `(B, S, S, 3)` in 0..255.
        seed: two integers.

    Returns:
        float32 `(B, S, S, 3)` in 0..255.
    """
    draws = tf.random.stateless_uniform((tf.shape(rgb)[0], 2, 1, 1, 1), seed, -1.0, 1.0)
    contrast, brightness = 1.0 + _CONTRAST * draws[:, 0], _BRIGHTNESS * draws[:, 1]
    mean = tf.reduce_mean(rgb, axis=(1, 2, 3), keepdims=True)
    return tf.clip_by_value((rgb - mean) * contrast + mean + brightness, 0.0, 255.0)
