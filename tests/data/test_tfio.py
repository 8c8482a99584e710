"""What tensorflow-io adds, where it is installed; see `.ci/run` for where it is."""

import dataclasses
import importlib.util

import numpy as np
import pytest
import tensorflow as tf

from keras_c2kd.data import (
    Draws,
    Samples,
    Spectrogram,
    decode,
    index_compressed,
    make_batches,
    tfio,
)
from keras_c2kd.data import audio as ours
from tests.data.sounds import encoded, hum

INSTALLED = importlib.util.find_spec("tensorflow_io") is not None
NATIVE = INSTALLED and tfio.native_ops_load()
PLAIN = Spectrogram(16000, 0.5, 256, 128)

needs_tfio = pytest.mark.skipif(not INSTALLED, reason="tensorflow-io is not installed")
needs_native = pytest.mark.skipif(
    not NATIVE,
    reason="the native operations of tensorflow-io load with TensorFlow 2.16 only",
)


@pytest.mark.skipif(INSTALLED, reason="tensorflow-io is installed")
@pytest.mark.parametrize("options", [{"engine": "tfio"}, {"codec": "flac"}])
def test_without_it_one_sentence_says_how_to_get_it(options):
    with pytest.raises(ValueError, match="pip install tensorflow-io.*Received: "):
        dataclasses.replace(PLAIN, **options)


@needs_tfio
@pytest.mark.skipif(NATIVE, reason="the native operations of tensorflow-io load")
@pytest.mark.parametrize("codec", ["flac", "mp3"])
def test_where_native_operations_do_not_load_one_sentence_says_which_do(codec):
    words = f"{codec.upper()} files.*0.37.1 with TensorFlow 2.16.*{tf.__version__}"
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(PLAIN, codec=codec)
    with pytest.raises(ValueError, match="resampling.*Received: TensorFlow"):
        tfio.resample_native(tf.zeros(10), 8000, 16000)
    with pytest.raises(ValueError, match="Received: TensorFlow"):
        tfio.decode_compressed(tf.constant(b""), codec)


def waves(rng, count=8):
    return rng.integers(-(2**15), 2**15, (count, 8000)).astype(np.int16)


@needs_tfio
@pytest.mark.parametrize("style", ["stft", "psd"])
def test_decibels_are_ours(rng, style):
    modality = dataclasses.replace(PLAIN, style=style, decibels=True)
    batch = waves(rng)
    batch[0] //= 1000
    batch[1] = 0
    theirs = dataclasses.replace(modality, engine="tfio").prepare(batch)
    np.testing.assert_allclose(theirs, modality.prepare(batch), atol=1e-3)


@needs_tfio
def test_decibels_of_powers():
    power = tf.constant([[[1.0, 100.0, 1e-3, 0.0]], [[1e-12, 1e-4, 1.0, 1e-20]]])
    expected = [[[0, 20, -30, -60]], [[-80, -40, 0, -80]]]
    for decibels in (tfio.decibels, ours.decibels):
        np.testing.assert_allclose(decibels(power), expected, atol=1e-3)


@needs_tfio
@pytest.mark.parametrize("axis", [1, 2])
def test_masks_are_stripes_of_bounded_width(rng, axis):
    images = tf.constant(rng.normal(3, 1, (200, 12, 10)), tf.float32)
    masked = tfio.masked(images, 4 * (axis == 1), 4 * (axis == 2)).numpy()
    hidden = (np.abs(masked - images) > 1e-4).any(axis=3 - axis)
    for row in hidden:  # one stripe, without gaps
        assert (np.diff(np.flatnonzero(row)) == 1).all()
    assert set(hidden.sum(axis=1)) == set(range(5))
    lines = np.moveaxis(masked, axis, 1)[hidden]
    means = np.repeat(np.mean(images, axis=(1, 2)), hidden.sum(axis=1))
    np.testing.assert_allclose(lines, np.tile(means[:, None], lines.shape[1]), 1e-4)


@needs_tfio
def test_masks_may_be_as_wide_as_the_image(rng):
    images = tf.constant(rng.normal(size=(100, 3, 4)), tf.float32)
    assert tfio.masked(images, 3, 4).shape == images.shape


@needs_tfio
def test_masks_work_in_a_pipeline_and_only_in_training(rng):
    modality = dataclasses.replace(
        PLAIN, engine="tfio", frequency_mask=20, time_mask=20
    )
    batch = waves(rng)
    draws = Draws(tf.zeros((8, 4)), tf.constant([1, 2]))
    dataset = tf.data.Dataset.from_tensor_slices(batch).batch(8)
    dataset = dataset.map(lambda waves: modality.prepare(waves, draws))
    assert dataset.element_spec.shape == (None, *modality.input_shape)
    (images,) = dataset.as_numpy_iterator()
    plain = PLAIN.prepare(batch)
    assert (np.abs(images - plain) > 1e-3).any() and np.isfinite(images).all()
    np.testing.assert_allclose(modality.prepare(batch), plain, atol=1e-5)


def source(path):
    return {name: array[0] for name, array in index_compressed([path]).items()}


@needs_native
@pytest.mark.parametrize("channels", [1, 2])
def test_flac_is_what_was_encoded(tmp_path, rng, channels):
    samples, file = hum(rng, 0.5, 16000, channels), tmp_path / "a.flac"
    file.write_bytes(encoded(samples, 16000, "flac"))
    modality = dataclasses.replace(PLAIN, codec="flac")
    packed = modality.pack(modality.decode(source(file)))
    mono = samples if channels == 1 else np.round(samples.mean(axis=1))
    np.testing.assert_array_equal(packed, mono)


@needs_native
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_mp3_is_nearly_what_was_encoded(tmp_path, rng, rate, channels):
    samples, file = hum(rng, 1.0, rate, channels), tmp_path / "a.mp3"
    file.write_bytes(encoded(samples, rate, "mp3"))
    modality = Spectrogram(rate, 1.0, 256, 128, codec="mp3")
    heard = modality.decode(source(file)).numpy() * 2**15
    mono = samples if channels == 1 else samples.mean(axis=1)
    part = mono[2000 : rate // 2]
    # Encoders add silence in front, which a decoder need not take away.
    likeness = [
        np.corrcoef(heard[2000 + delay :][: len(part)], part)[0, 1]
        for delay in range(2500)
    ]
    assert max(likeness) > 0.98


@needs_native
@pytest.mark.parametrize(("rate", "wanted"), [(44100, 16000), (8000, 16000)])
def test_the_native_resampler_keeps_a_tone_and_delays_it(rate, wanted):
    def tone(hertz):
        return np.sin(2 * np.pi * 440 * np.arange(hertz) / hertz).astype("float32")

    change = tf.function(lambda x, r: tfio.resample_native(x, r, wanted))
    heard = change(tone(rate), tf.constant(rate, tf.int64)).numpy()
    assert abs(len(heard) - wanted) <= 1
    delay = round(32 * max(1, wanted / rate))  # of its filter
    inner = slice(200, wanted - 200)
    np.testing.assert_allclose(heard[delay:][inner], tone(wanted)[inner], atol=0.02)
    same = change(tone(wanted), tf.constant(wanted, tf.int64))
    np.testing.assert_array_equal(same, tone(wanted))


@needs_native
@pytest.mark.parametrize("codec", ["flac", "mp3"])
def test_files_of_several_rates_go_through_the_pipeline(tmp_path, rng, codec):
    files = []
    for number, rate in enumerate((16000, 8000, 44100)):
        files.append(tmp_path / f"{number}.{codec}")
        files[-1].write_bytes(encoded(hum(rng, 0.7, rate), rate, codec))
    indexed = {"audio": index_compressed([*files, ""])}
    samples = Samples(
        tuple("abcd"), indexed, np.arange(4, dtype="int32"), tuple("abcd")
    ).complete()
    modality = dataclasses.replace(PLAIN, codec=codec)
    decoded = decode(samples, {"audio": modality})
    ((inputs, labels),) = make_batches(decoded, 4, training=False)
    assert list(labels.numpy()) == [0, 1, 2]
    peaks = inputs["audio"].numpy()[:, :, 20, 0].argmax(axis=1)
    assert set(peaks) == {round(440 * 256 / 16000)}
    files[1].write_bytes(files[1].read_bytes()[:-500])
    with pytest.raises(ValueError, match=f"sound file at {files[1]}.*Received: "):
        decode(samples, {"audio": modality})


@needs_native
@pytest.mark.parametrize("codec", ["flac", "mp3"])
def test_what_passes_the_index_is_decoded_or_named(tmp_path, rng, codec):
    """The FLAC decoder would not come back from most of what does not pass."""
    content, samples = encoded(hum(rng), 16000, codec), hum(rng)
    file, modality = tmp_path / "a", Spectrogram(16000, 1.0, 256, 128, codec=codec)
    decoded = 0
    for _ in range(200):
        mutated = bytearray(content)
        at = int(rng.integers(rng.choice([60, len(mutated)])))
        if rng.random() < 0.8:
            mutated[at] ^= 1 << int(rng.integers(8))
        else:
            del mutated[at : at + int(rng.integers(1, 40))]
        file.write_bytes(mutated)
        try:
            entry = source(file)
            packed = modality.pack(modality.decode(entry))
        except (ValueError, tf.errors.OpError):
            continue
        assert packed.shape == samples.shape
        decoded += 1
    assert decoded > 5
