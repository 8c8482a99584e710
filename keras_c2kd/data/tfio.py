"""What tensorflow-io adds where it is installed: masks, decibels, FLAC, MP3.

Its operations in Python work with any TensorFlow; its native ones (decoders, resampler)
only with the one it was built against.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

import tensorflow as tf

_BUILT_FOR = "tensorflow-io 0.37.1 with TensorFlow 2.16"


@functools.cache
def import_tfio() -> ModuleType:
    """The module, or one sentence about how to get it.

    Raises:
        ValueError: tensorflow-io is not installed.
    """
    try:
        import tensorflow_io
    except ImportError as error:
        raise ValueError(
            "Expected tensorflow-io for this option: pip install tensorflow-io, or "
            "leave the option at its default, which needs TensorFlow alone. "
            f"Received: {error}"
        ) from error
    return tensorflow_io


@functools.cache
def native_ops_load() -> bool:
    """Whether the decoders and the resampler work with this TensorFlow."""
    try:
        import_tfio().audio.resample(tf.zeros((8, 1)), 2, 1)
    except (ValueError, NotImplementedError, tf.errors.OpError):
        return False
    return True


def require_native(what: str) -> Any:
    """`tensorflow_io.audio`, once its native operations are known to load.

    Args:
        what: for the message, as `"FLAC files"`.

    Raises:
        ValueError: they do not load with this TensorFlow.
    """
    audio = import_tfio().audio
    if not native_ops_load():
        raise ValueError(
            f"Expected the native operations of tensorflow-io for {what}; they load in "
            f"{_BUILT_FOR}. Received: TensorFlow {tf.__version__}"
        )
    return audio


def resample_native(samples: tf.Tensor, source_rate: tf.Tensor, rate: int) -> tf.Tensor:
    """Changes the rate with tensorflow-io's polyphase filter.

    What comes out is late by 32 samples of the lower rate, 2 to 4 ms, as its filter is.

    Args:
        samples: float32 `(frames,)`.
        source_rate: scalar integer, Hz.
        rate: Hz.

    Returns:
        float32 `(frames * rate / source_rate,)`.

    Raises:
        ValueError: its native operations do not load.
    """
    audio = require_native("resampling")
    source_rate = tf.cast(source_rate, tf.int64)
    return tf.cond(
        source_rate == rate,
        lambda: samples,
        lambda: audio.resample(samples[:, None], source_rate, rate)[:, 0],
    )


def decode_compressed(contents: tf.Tensor, kind: str) -> tf.Tensor:
    """Decodes a FLAC or MP3 file, channels mixed to one.

    Args:
        contents: scalar string, the bytes of the file.
        kind: `"flac"` or `"mp3"`.

    Returns:
        float32 `(frames,)` in [-1, 1].

    Raises:
        ValueError: its native operations do not load.
    """
    audio = require_native(f"{kind.upper()} files")
    if kind == "mp3":
        return tf.reduce_mean(audio.decode_mp3(contents), axis=1)
    decoded = audio.decode_flac(contents, dtype=tf.int16)
    return tf.reduce_mean(tf.cast(decoded, tf.float32) / 32768.0, axis=1)


def masked(images: tf.Tensor, frequency_mask: int, time_mask: int) -> tf.Tensor:
    """SpecAugment with tensorflow-io's masks, another one for each image.

    Its masks draw from TensorFlow's global seed, not from that of a batch. They repeat
    from run to run only where batches are made one after the other, as under
    `tf.config.experimental.enable_op_determinism()`, and then from epoch to epoch too;
    `engine="tf"` has neither limit.

    Args:
        images: float32 `(B, frequencies, frames)`.
        frequency_mask: most frequencies to mask, 0: none.
        time_mask: the same for frames.

    Returns:
        The same shape; an image's mean where it is masked.
    """
    audio = import_tfio().audio
    frequencies, frames = images.shape[1:]

    def one(image):
        mean = tf.reduce_mean(image)
        image = tf.transpose(image) - mean  # (time, frequency) is its order
        # It excludes the largest width, and fails where no other place is left.
        if frequency_mask:
            image = audio.freq_mask(image, min(frequency_mask + 1, frequencies))
        if time_mask:
            image = audio.time_mask(image, min(time_mask + 1, frames))
        return tf.transpose(image) + mean

    return tf.map_fn(one, images, parallel_iterations=1)  # in order: repeatable


def decibels(power: tf.Tensor, top_db: float = 80.0) -> tf.Tensor:
    """`10 log10(power)`, at most `top_db` below its maximum.

    Args:
        power: float32 `(B, frequencies, frames)`.
        top_db: of each image on its own.

    Returns:
        float32 of that shape.
    """
    audio = import_tfio().audio
    # It takes magnitudes, and squares them.
    return tf.map_fn(lambda image: audio.dbscale(image, top_db), tf.sqrt(power))
