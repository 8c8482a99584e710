"""Sound as a modality: wav files to log spectrograms, all in the graph."""

from __future__ import annotations

import dataclasses
import os
from typing import ClassVar

import tensorflow as tf

from keras_c2kd.data import tfio
from keras_c2kd.data.modality import Draws, Modality
from keras_c2kd.data.spectra import (
    centred_stft,
    decibels,
    density,
    resample,
    spans,
    stripes,
)
from keras_c2kd.data.wav import decode_wav

_FLOOR = 1e-7  # added before the logarithm, as in the released code


@dataclasses.dataclass(frozen=True)
class Spectrogram(Modality):
    """Log spectrograms of clips that are all made equally long.

    A clip is resampled, clipped to [-1, 1], repeated until it is long enough, and cut.
    That waveform is what is kept of it (16 bits, as most files have them: exact, and
    half of float32); its spectrogram is made in whole batches.

        style "stft"   log(|STFT| + 1e-7), Hann window, frames centred (librosa's)
        style "psd"    log(PSD + 1e-7) of scipy.signal.spectrogram, its defaults

    Attributes:
        rate: of the waveform, in Hz.
        seconds: length of what the model hears.
        window: samples in a frame; `window // 2 + 1` frequencies.
        hop: samples from one frame to the next.
        style: `"stft"` or `"psd"`.
        stored_seconds: length of what is kept, 0: `seconds`. Of a longer one a random
            span is heard in training and the middle otherwise.
        standardize: mean 0 and deviation 1 in each spectrogram.
        frequency_mask: SpecAugment in training: most frequencies to mask, 0: none.
        time_mask: the same for frames.
        decibels: 10 log10 of the power instead of the logarithm, 80 dB deep.
        engine: `"tf"`, or `"tfio"` for masks and decibels of tensorflow-io.
        codec: of the files: `"wav"`, or `"flac"`, `"mp3"`, which are read and resampled
            by native operations of tensorflow-io.

    Example:

    >>> CREMAD_SPECTROGRAM.input_shape
    (257, 188, 1)

    Reference:
        D. S. Park et al., "SpecAugment", Interspeech 2019; the three settings below are
        those of the released code of C2KD.
    """

    rate: int
    seconds: float
    window: int
    hop: int
    style: str = "stft"
    stored_seconds: float = 0.0
    standardize: bool = False
    frequency_mask: int = 0
    time_mask: int = 0
    decibels: bool = False
    engine: str = "tf"
    codec: str = "wav"
    kind: ClassVar[str] = "spectrogram"
    expected: ClassVar[str] = "a complete sound file"

    def __post_init__(self):
        choices = {
            "style": ("stft", "psd"),
            "engine": ("tf", "tfio"),
            "codec": ("wav", "flac", "mp3"),
        }
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"Expected `{name}` to be one of {allowed}. "
                    f"Received: {name}={getattr(self, name)!r}"
                )
        self._check_numbers()
        if self.engine == "tfio":
            tfio.import_tfio()
        if self.codec != "wav":
            tfio.require_native(f"{self.codec.upper()} files")

    def _check_numbers(self):
        fits = 2 <= self.window <= self.seconds * self.rate and self.hop >= 1
        if not (1000 <= self.rate <= 1_000_000 and fits):
            raise ValueError(
                "Expected a rate of 1,000 to 1,000,000 Hz, a hop of 1 sample or more, "
                "and a window of 2 samples or more that fits into the clip. Received: "
                f"rate={self.rate}, hop={self.hop}, window={self.window}, "
                f"seconds={self.seconds}"
            )
        most = self.input_shape[:2]
        masks = (self.frequency_mask, self.time_mask)
        if not all(0 <= mask <= size for mask, size in zip(masks, most, strict=True)):
            raise ValueError(
                f"Expected masks of at most {most[0]} frequencies and {most[1]} "
                f"frames. Received: frequency_mask={masks[0]}, time_mask={masks[1]}"
            )

    @property
    def spec(self):
        seconds = max(self.stored_seconds, self.seconds)
        return tf.TensorSpec((round(seconds * self.rate),), tf.int16)

    @property
    def input_shape(self):
        length = round(self.seconds * self.rate)
        padding = 2 * (self.window // 2) if self.style == "stft" else 0
        frames = 1 + (length + padding - self.window) // self.hop
        return (self.window // 2 + 1, frames, 1)

    def decode(self, source):
        """float32 waveform at `rate`, from `index_wavs` or `index_compressed`."""
        if self.codec == "wav":
            samples, change = decode_wav(source), resample
        else:
            contents = tf.io.read_file(source["path"])
            same = tf.strings.length(contents) == tf.cast(source["bytes"], tf.int32)
            check = tf.debugging.Assert(same, ["the file is not as it was indexed"])
            with tf.control_dependencies([check] if check is not None else []):
                contents = tf.identity(contents)
            samples = tfio.decode_compressed(contents, self.codec)
            change = tfio.resample_native
        # Of a long file only what is kept is resampled, and some more: its end rings.
        most = (self.spec.shape[0] + self.rate) / self.rate
        most = tf.math.ceil(most * tf.cast(source["rate"], tf.float64))
        return change(samples[: tf.cast(most, tf.int32)], source["rate"], self.rate)

    def pack(self, decoded):
        length = self.spec.shape[0]
        count = tf.shape(decoded)[0]
        check = tf.debugging.assert_greater(count, 0, "a clip without a sample")
        with tf.control_dependencies([check] if check is not None else []):
            repeats = -(-length // tf.maximum(count, 1))
        decoded = tf.debugging.check_numerics(decoded, "a sample that is no number")
        clip = tf.tile(tf.clip_by_value(decoded, -1.0, 1.0), [repeats])[:length]
        whole = tf.clip_by_value(tf.round(clip * 32768.0), -32768.0, 32767.0)
        return tf.ensure_shape(tf.cast(whole, tf.int16), (length,))

    def prepare(self, packed, draws: Draws | None = None):
        """float32 `(B, frequencies, frames, 1)`."""
        span_seed, mask_seed = [None] * 2
        if draws is not None:
            span_seed, mask_seed = tf.unstack(tf.random.split(draws.seed, 2))
        heard = spans(packed, round(self.seconds * self.rate), span_seed)
        waves = tf.cast(heard, tf.float32) / 32768.0
        if self.style == "stft":
            power = centred_stft(waves, self.window, self.hop)
        else:
            power = density(waves, self.window, self.hop, self.rate)
        images = self._compressed(power)
        if self.standardize:
            mean, variance = tf.nn.moments(images, axes=[1, 2], keepdims=True)
            images = (images - mean) / tf.maximum(tf.sqrt(variance), 1e-7)
        if draws is not None and (self.frequency_mask or self.time_mask):
            images = self._masked(images, mask_seed)
        return tf.ensure_shape(images[..., None], (packed.shape[0], *self.input_shape))

    def _compressed(self, magnitudes):
        if not self.decibels:
            return tf.math.log(magnitudes + _FLOOR)
        power = magnitudes**2 if self.style == "stft" else magnitudes
        scale = tfio.decibels if self.engine == "tfio" else decibels
        return scale(power)

    def _masked(self, images, seed):
        if self.engine == "tfio":
            return tfio.masked(images, self.frequency_mask, self.time_mask)
        mean = tf.reduce_mean(images, axis=[1, 2], keepdims=True)
        hidden = tf.zeros_like(images, tf.bool)
        for axis, most in ((1, self.frequency_mask), (2, self.time_mask)):
            hidden |= stripes(
                tf.shape(images), axis, most, tf.random.fold_in(seed, axis)
            )
        return tf.where(hidden, mean, images)

    def describe(self, source):
        described = {k: v for k, v in source.items() if k != "path"}
        described["size"] = os.path.getsize(self.where(source))
        listed = ", ".join(f"{name}={value}" for name, value in described.items())
        if self.codec != "wav":
            return f"a file that is no {self.codec.upper()} ({listed})"
        return f"a file shorter than its header says, or no numbers in it ({listed})"


# CREMA-D: 3 s at 22,050 Hz; AVE: 10 s, VGGSound: 5 of 10 s, at 16 kHz.
CREMAD_SPECTROGRAM = Spectrogram(22050, 3.0, window=512, hop=353)


AVE_SPECTROGRAM = Spectrogram(
    16000, 10.0, window=512, hop=512 - 353, style="psd", standardize=True
)


VGGSOUND_SPECTROGRAM = Spectrogram(16000, 5.0, window=256, hop=128, stored_seconds=10.0)
