"""Waveforms as users have them to the spectrogram that a student takes."""

import keras
import numpy as np
from keras import layers, ops

_FLOOR = 1e-7


def waveform_preprocessing(
    rate: int,
    seconds: float,
    window: int,
    hop: int,
    style: str = "stft",
    stored_seconds: float = 0.0,
    standardize: bool = False,
    decibels: bool = False,
) -> keras.Model:
    """Samples of sound to the log spectrogram that `data.Spectrogram` makes.

    The transform is one convolution with fixed kernels, which every format has; a
    Fourier transform not. A clip of another length is repeated or cut as in training.

    Args:
        rate: of the waveform, in Hz; resample it before, since that is not part of it.
        seconds: length of what the student hears.
        window: samples in a frame.
        hop: samples from one frame to the next.
        style: `"stft"` or `"psd"`.
        stored_seconds: of a clip as long as this the middle is heard.
        standardize: mean 0 and deviation 1 in each spectrogram.
        decibels: 10 log10 of the power, 80 dB deep.

    Returns:
        A model from float32 `(B, samples)` in -1..1 to `(B, window // 2 + 1, frames,
        1)`. Magnitudes agree with training's to 2e-6 of the loudest, which is what
        float32 keeps; in the logarithm the quietest bins of a pure tone, 100 dB below
        it, then differ by more (noise and speech: by less than 1e-3).

    Raises:
        ValueError: a `style` that there is not.

    Example:

    >>> from keras_c2kd.export import waveform_preprocessing
    >>> waveform_preprocessing(8000, 0.6, window=128, hop=64).output.shape
    (None, 65, 76, 1)
    """
    if style not in ("stft", "psd"):
        raise ValueError(
            f'Expected `style` to be "stft" or "psd". Received: style={style!r}'
        )
    length = round(seconds * rate)
    stored = max(round(stored_seconds * rate), length)
    inputs = keras.Input((None,), name="waveform")
    waves = ops.clip(_middle(inputs, stored, length), -1.0, 1.0)
    # 16 bits are what training keeps.
    waves = ops.clip(ops.round(waves * 32768.0), -32768.0, 32767.0) / 32768.0
    if style == "stft":
        waves = ops.pad(waves, ((0, 0), (window // 2, window // 2)))
    power = _power(waves, window, hop, style, rate)
    images = _log(power, style, decibels)
    if standardize:
        mean = ops.mean(images, axis=(1, 2), keepdims=True)
        deviation = ops.sqrt(ops.var(images, axis=(1, 2), keepdims=True))
        images = (images - mean) / ops.maximum(deviation, 1e-7)
    return keras.Model(inputs, ops.expand_dims(images, -1), name="preprocessing")


def _middle(waves, stored, length):
    """`length` samples from the middle of `stored`, of a clip that is repeated."""
    count = ops.cast(ops.sum(ops.ones_like(waves[0])), "int32")
    # A range as the sum of two short ones: constants are written out in the file.
    columns = round(length**0.5) + 1
    rows = np.arange(-(-length // columns), dtype="int32")[:, None] * columns
    at = count * 0 + (rows + (stored - length) // 2)
    at = at + np.arange(columns, dtype="int32")
    at = ops.mod(ops.reshape(at, (-1,)), count)
    return ops.take(waves, at, axis=1)[:, :length]


def _power(waves, window, hop, style, rate):
    """`(B, frequencies, frames)`: |STFT|^2, or scipy.signal.spectrogram's density."""
    frequencies = window // 2 + 1
    taper = _hann(window) if style == "stft" else _tukey(window)
    angle = 2 * np.pi / window * np.outer(np.arange(window), np.arange(frequencies))
    kernel = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1) * taper[:, None]
    if style == "psd":
        sides = np.full(frequencies, 2.0)
        # There is one of it, and of the highest of an even window too.
        sides[0] = 1.0
        sides[-1] = 1.0 if window % 2 == 0 else 2.0
        kernel -= kernel.mean(axis=0)  # as if each frame's mean were taken off
        kernel *= np.sqrt(np.tile(sides, 2) / (rate * np.sum(taper**2)))
    transform = layers.Conv1D(
        2 * frequencies,
        window,
        strides=hop,
        use_bias=False,
        trainable=False,
        dtype="float32",
        name="transform",
    )
    parts = transform(ops.expand_dims(waves, -1))
    transform.set_weights([kernel[:, None].astype("float32")])
    squares = ops.square(parts)
    power = squares[..., :frequencies] + squares[..., frequencies:]
    return ops.transpose(power, (0, 2, 1))


def _log(power, style, decibels):
    if decibels:
        levels = ops.log(ops.maximum(power, 1e-10)) * float(10.0 / np.log(10.0))
        top = ops.max(levels, axis=(1, 2), keepdims=True)
        return ops.maximum(levels, top - 80.0)
    return ops.log((ops.sqrt(power) if style == "stft" else power) + _FLOOR)


def _hann(window):
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)


def _tukey(window, share=0.25):
    """Periodic, as scipy.signal.get_window(("tukey", 0.25), window)."""
    at = np.arange(window) / window
    edge = np.minimum(at, 1.0 - at) / (share / 2)
    return np.where(edge < 1.0, 0.5 - 0.5 * np.cos(np.pi * edge), 1.0)
