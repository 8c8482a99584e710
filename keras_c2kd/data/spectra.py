"""Waveforms to spectra in the graph: what SciPy and librosa compute, batch by batch."""

from __future__ import annotations

import numpy as np
import scipy.signal
import tensorflow as tf


def resample(samples: tf.Tensor, source_rate: tf.Tensor, rate: int) -> tf.Tensor:
    """Changes the rate through the spectrum, as `scipy.signal.resample` does.

    Nothing above half of the lower rate is left, so nothing is folded back.

    Args:
        samples: float32 `(frames,)`.
        source_rate: scalar integer, Hz.
        rate: Hz.

    Returns:
        float32 `(round(frames * rate / source_rate),)`.
    """
    source_rate = tf.cast(source_rate, tf.int32)

    def change():
        frames = tf.cast(tf.shape(samples)[0], tf.float64)
        share = tf.cast(rate, tf.float64) / tf.cast(source_rate, tf.float64)
        wanted = tf.maximum(tf.cast(tf.round(frames * share), tf.int32), 1)
        spectrum = tf.signal.rfft(samples)
        fewer = tf.minimum(tf.shape(samples)[0], wanted)
        kept = fewer // 2 + 1
        # The highest frequency of an even length stands for itself and its negative.
        share_of_last = tf.where(wanted < tf.shape(samples)[0], 2.0, 0.5)
        split = (fewer % 2 == 0) & (wanted != tf.shape(samples)[0])
        last = tf.where(split, share_of_last, 1.0)
        gain = tf.concat([tf.ones(kept - 1), [last]], axis=0)
        spectrum = spectrum[:kept] * tf.cast(gain, tf.complex64)
        spectrum = tf.pad(spectrum, [[0, wanted // 2 + 1 - kept]])
        scale = tf.cast(wanted, tf.float32) / tf.cast(frames, tf.float32)
        return tf.signal.irfft(spectrum, [wanted]) * scale

    same = tf.equal(source_rate, rate) | tf.equal(tf.shape(samples)[0], 0)
    return tf.cond(same, lambda: samples, change)


def spans(waves: tf.Tensor, length: int, seed: tf.Tensor | None) -> tf.Tensor:
    """A part of each wave: a random one under a seed, the middle without.

    Args:
        waves: `(B, stored)`.
        length: samples to keep.
        seed: two integers, or `None`.

    Returns:
        `(B, length)`.
    """
    batch, room = tf.shape(waves)[0], waves.shape[1] - length
    if seed is None or room == 0:
        return waves[:, room // 2 : room // 2 + length]
    starts = tf.random.stateless_uniform((batch,), seed, 0, room + 1, tf.int32)
    return tf.gather(waves, starts[:, None] + tf.range(length), batch_dims=1)


def centred_stft(waves: tf.Tensor, window: int, hop: int) -> tf.Tensor:
    """|STFT| with a periodic Hann window; frame i has sample `i * hop` in its middle.

    Args:
        waves: float32 `(B, samples)`.
        window: samples in a frame.
        hop: samples from one frame to the next.

    Returns:
        float32 `(B, window // 2 + 1, 1 + samples // hop)`.
    """
    padded = tf.pad(waves, [[0, 0], [window // 2, window // 2]])
    # Of odd length, tf.signal.hann_window is not periodic.
    taper = tf.constant(scipy.signal.get_window("hann", window), tf.float32)
    spectrum = tf.signal.rfft(tf.signal.frame(padded, window, hop) * taper)
    return tf.transpose(tf.abs(spectrum), (0, 2, 1))


def density(waves: tf.Tensor, window: int, hop: int, rate: int) -> tf.Tensor:
    """The one-sided power spectral density of `scipy.signal.spectrogram`.

    Args:
        waves: float32 `(B, samples)`.
        window: samples in a frame; a Tukey window of parameter 0.25.
        hop: samples from one frame to the next.
        rate: Hz.

    Returns:
        float32 `(B, window // 2 + 1, 1 + (samples - window) // hop)`.
    """
    taper = scipy.signal.get_window(("tukey", 0.25), window)
    frames = tf.signal.frame(waves, window, hop)
    frames -= tf.reduce_mean(frames, axis=-1, keepdims=True)
    power = tf.abs(tf.signal.rfft(frames * tf.constant(taper, tf.float32))) ** 2
    sides = np.full(window // 2 + 1, 2.0)
    sides[0] = 1.0  # there is one of it, and of the highest of an even window too
    sides[-1] = 1.0 if window % 2 == 0 else 2.0
    scale = tf.constant(sides / (rate * np.sum(taper**2)), tf.float32)
    return tf.transpose(power * scale, (0, 2, 1))


def decibels(power: tf.Tensor, top_db: float = 80.0) -> tf.Tensor:
    """`10 log10(power)`, at most `top_db` below the maximum of each image.

    Args:
        power: float32 `(B, frequencies, frames)`.
        top_db: the depth that is kept.

    Returns:
        float32 of that shape.
    """
    levels = 10.0 / np.log(10.0) * tf.math.log(tf.maximum(power, 1e-10))
    top = tf.reduce_max(levels, axis=[1, 2], keepdims=True)
    return tf.maximum(levels, top - top_db)


def stripes(shape: tf.Tensor, axis: int, most: int, seed: tf.Tensor) -> tf.Tensor:
    """One random stripe per image, for SpecAugment.

    Args:
        shape: `(B, frequencies, frames)`.
        axis: 1 masks frequencies, 2 masks frames.
        most: the largest width; widths are uniform from 0 on.
        seed: two integers.

    Returns:
        bool, broadcastable to `shape`; True inside the stripe.
    """
    draws = tf.random.stateless_uniform((shape[0], 2), seed)
    size = tf.cast(shape[axis], tf.float32)
    width = tf.floor(draws[:, :1] * (most + 1))
    start = tf.floor(draws[:, 1:] * tf.maximum(size - width + 1, 1))
    at = tf.range(size)[None]
    stripe = (at >= start) & (at < start + width)
    return stripe[:, :, None] if axis == 1 else stripe[:, None, :]
