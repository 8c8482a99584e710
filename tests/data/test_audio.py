import dataclasses
import wave

import numpy as np
import pytest
import scipy.signal
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data import (
    AVE_SPECTROGRAM,
    CREMAD_SPECTROGRAM,
    VGGSOUND_SPECTROGRAM,
    Crops,
    Draws,
    Samples,
    Spectrogram,
    decode,
    index_wavs,
    make_batches,
)
from keras_c2kd.data.spectra import (
    centred_stft,
    decibels,
    density,
    resample,
    spans,
    stripes,
)

PLAIN = Spectrogram(8000, 0.1, 64, 32)


def draws(seed=1, count=4):
    return Draws(tf.zeros((count, 4)), tf.constant([seed, 2], tf.int32))


def noise(rng, count=4, samples=800):
    return rng.integers(-(2**15), 2**15, (count, samples)).astype(np.int16)


@pytest.mark.parametrize(
    ("modality", "stored", "shape"),
    [
        (CREMAD_SPECTROGRAM, 66150, (257, 188, 1)),
        (AVE_SPECTROGRAM, 160_000, (257, 1004, 1)),
        (VGGSOUND_SPECTROGRAM, 160_000, (129, 626, 1)),
    ],
)
def test_the_references_settings_have_its_shapes(rng, modality, stored, shape):
    assert modality.spec == tf.TensorSpec((stored,), tf.int16)
    assert modality.input_shape == shape
    for draw in (None, draws(count=2)):
        images = modality.prepare(noise(rng, 2, stored), draw)
        assert images.shape == (2, *shape) and images.dtype == tf.float32


def test_ave_is_what_scipys_spectrogram_and_a_standardization_give(rng):
    wave_ = noise(rng, 1, 160_000)
    _, _, power = scipy.signal.spectrogram(
        wave_[0] / 32768.0, 16000, nperseg=512, noverlap=353
    )
    image = np.log(power + 1e-7)
    expected = (image - image.mean()) / image.std()
    ours = AVE_SPECTROGRAM.prepare(wave_)[0, :, :, 0]
    np.testing.assert_allclose(ours, expected, atol=2e-3)


def stft_in_numpy(samples, window, hop):
    """librosa's, centred with zeros: each frame multiplied by a Hann window."""
    padded = np.pad(np.asarray(samples, np.float64), window // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    time, frequency = np.arange(window), np.arange(window // 2 + 1)
    matrix = np.exp(-2j * np.pi * np.outer(frequency, time) / window)
    starts = range(0, len(padded) - window + 1, hop)
    frames = np.stack([padded[s : s + window] * hann for s in starts], axis=1)
    return np.abs(matrix @ frames)


@given(
    window=st.integers(2, 65),
    hop=st.integers(1, 70),
    more=st.integers(0, 200),
    seed=st.integers(0, 2**32),
)
def test_stft_follows_its_formula(window, hop, more, seed):
    wave_ = np.random.default_rng(seed).uniform(-1, 1, window + more)
    ours = centred_stft(tf.constant(wave_[None], tf.float32), window, hop)[0]
    np.testing.assert_allclose(ours, stft_in_numpy(wave_, window, hop), atol=1e-4)
    modality = Spectrogram(1000, len(wave_) / 1000, window, hop)
    assert modality.input_shape == (*ours.shape, 1)


@given(
    window=st.integers(2, 65),
    hop=st.integers(1, 64),
    more=st.integers(0, 200),
    seed=st.integers(0, 2**32),
)
def test_density_is_scipys(window, hop, more, seed):
    hop = min(hop, window)  # scipy has no gaps between frames
    wave_ = np.random.default_rng(seed).uniform(-1, 1, window + more)
    _, _, expected = scipy.signal.spectrogram(
        wave_, 16000, nperseg=window, noverlap=window - hop
    )
    ours = density(tf.constant(wave_[None], tf.float32), window, hop, 16000)[0]
    np.testing.assert_allclose(ours, expected, rtol=1e-3, atol=1e-9)
    modality = Spectrogram(1000, len(wave_) / 1000, window, hop, style="psd")
    assert modality.input_shape == (*ours.shape, 1)


def test_a_tone_is_where_it_should_be():
    time = np.arange(8000) / 8000
    tone = np.round(2**14 * np.sin(2 * np.pi * 1000 * time)).astype(np.int16)
    for style in ("stft", "psd"):
        modality = Spectrogram(8000, 1.0, 256, 128, style=style)
        image = modality.prepare(tone[None])[0, :, :, 0].numpy()
        assert (image.argmax(axis=0) == 1000 * 256 // 8000)[1:-1].all()
    silence = modality.prepare(np.zeros((1, 8000), np.int16))
    np.testing.assert_allclose(silence, np.log(1e-7), rtol=1e-6)


@pytest.mark.parametrize(("source", "target"), [(1, 2), (2, 1), (3, 2), (147, 160)])
@pytest.mark.parametrize("frames", [1, 2, 3, 240, 241, 1000, 1471])
def test_resample_is_scipys(rng, source, target, frames):
    samples = rng.uniform(-1, 1, frames).astype(np.float32)
    ours = resample(tf.constant(samples), 8000 * source, 8000 * target)
    wanted = max(1, round(frames * target / source))
    assert ours.shape == (wanted,)
    expected = scipy.signal.resample(samples.astype(np.float64), wanted)
    np.testing.assert_allclose(ours, expected, atol=1e-5)


@given(
    frames=st.integers(1, 400),
    source=st.integers(1000, 96_000),
    target=st.integers(1000, 96_000),
    seed=st.integers(0, 2**32),
)
def test_resample_is_scipys_at_any_rates(frames, source, target, seed):
    samples = np.random.default_rng(seed).uniform(-1, 1, frames).astype(np.float32)
    ours = resample(tf.constant(samples), source, target).numpy()
    expected = scipy.signal.resample(samples.astype(np.float64), len(ours))
    assert len(ours) == max(1, round(frames * target / source))
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_a_tone_keeps_its_frequency_and_what_is_too_high_is_gone():
    time = np.arange(44100) / 44100
    low, high = (np.sin(2 * np.pi * f * time).astype("float32") for f in (440, 9000))
    heard = resample(tf.constant(low + high), 44100, 16000).numpy()
    expected = np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)
    np.testing.assert_allclose(heard, expected, atol=1e-4)  # 9 kHz would be 7 kHz
    up = resample(tf.constant(low), 44100, 48000).numpy()
    expected = np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    np.testing.assert_allclose(up, expected, atol=1e-4)


def test_the_same_rate_and_no_sample_stay_as_they_are(rng):
    samples = tf.constant(rng.uniform(-1, 1, 77), tf.float32)
    np.testing.assert_array_equal(resample(samples, 8000, 8000), samples)
    assert resample(samples[:0], 8000, 16000).shape == (0,)


def write(file, samples, rate=8000, channels=1):
    with wave.open(str(file), "wb") as writer:
        writer.setparams((channels, 2, rate, 0, "NONE", None))
        writer.writeframes(np.asarray(samples, "<i2").tobytes())
    return {name: array[0] for name, array in index_wavs([file]).items()}


@pytest.mark.parametrize("frames", [1, 300, 799, 800, 801, 5000])
def test_a_clip_is_repeated_and_cut_exactly(tmp_path, rng, frames):
    samples = noise(rng, 1, frames)[0]
    packed = PLAIN.pack(PLAIN.decode(write(tmp_path / "a.wav", samples)))
    np.testing.assert_array_equal(packed, np.tile(samples, 801)[:800])
    assert packed.dtype == tf.int16


def test_what_is_too_loud_is_clipped():
    packed = PLAIN.pack(tf.constant([0.5, 3.0, -3.0, 1.0, -1.0]))
    assert list(packed[:5].numpy()) == [16384, 32767, -32768, 32767, -32768]


def test_a_clip_without_a_sample_is_refused():
    with pytest.raises(tf.errors.InvalidArgumentError, match="without a sample"):
        PLAIN.pack(tf.zeros((0,)))


def test_of_a_long_file_only_the_start_is_resampled(tmp_path, rng):
    time = np.arange(40 * 22050) / 22050
    samples = 10_000 * np.sin(2 * np.pi * 440 * time)
    source = write(tmp_path / "a.wav", samples, rate=22050)
    modality = Spectrogram(8000, 3.0, 64, 32)
    decoded = modality.decode(source)
    assert decoded.shape[0] == 4 * 8000
    expected = 10_000 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 8000)
    heard = modality.pack(decoded).numpy()
    assert np.abs(heard - expected)[200:].max() < 20  # it rings where it begins


def test_the_middle_is_heard_in_evaluation_and_any_span_in_training(rng):
    modality = dataclasses.replace(PLAIN, stored_seconds=0.2)
    assert modality.spec.shape == (1600,) and modality.input_shape == PLAIN.input_shape
    waves = noise(rng, 64, 1600)
    np.testing.assert_array_equal(
        modality.prepare(waves), PLAIN.prepare(waves[:, 400:1200])
    )
    ramp = np.tile(np.arange(1600), (64, 1)).astype(np.int16)
    heard = spans(tf.constant(ramp), 800, tf.constant([1, 2])).numpy()
    assert heard.shape == (64, 800) and (np.diff(heard) == 1).all()
    starts = heard[:, 0]
    assert starts.min() < 100 and starts.max() > 700 and len(set(starts)) > 50
    all_of_it = spans(tf.constant(ramp[:, :800]), 800, tf.constant([1, 2]))
    np.testing.assert_array_equal(all_of_it, ramp[:, :800])


def test_both_ends_can_be_heard():
    ramp = tf.tile([[0, 1, 2]], [200, 1])
    heard = spans(ramp, 2, tf.constant([1, 2])).numpy()
    assert set(heard[:, 0]) == {0, 1} and set(heard[:, 1]) == {1, 2}


def test_standardized_images_have_mean_0_and_deviation_1(rng):
    modality = dataclasses.replace(PLAIN, standardize=True)
    images = modality.prepare(noise(rng)).numpy()
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, atol=1e-4)
    assert np.isfinite(modality.prepare(np.zeros((1, 800), np.int16))).all()


@pytest.mark.parametrize("style", ["stft", "psd"])
def test_decibels_follow_their_formula(rng, style):
    modality = dataclasses.replace(PLAIN, style=style)
    waves = noise(rng)
    waves[0] //= 1000
    power = np.exp(np.asarray(modality.prepare(waves), np.float64)) - 1e-7
    power = power**2 if style == "stft" else power
    levels = 10 * np.log10(np.maximum(power, 1e-10))
    expected = np.maximum(levels, levels.max(axis=(1, 2), keepdims=True) - 80)
    ours = dataclasses.replace(modality, decibels=True).prepare(waves)
    np.testing.assert_allclose(ours, expected, atol=0.05)
    quiet = decibels(tf.constant([[[1.0, 1e-12, 0.0, 1e-3]]]))
    np.testing.assert_allclose(quiet, [[[0, -80, -80, -30]]], atol=1e-4)


def masked_lines(images, plain, axis):
    """How wide the stripe is that hides whole lines of each image."""
    other = 3 - axis
    hidden = (images != plain).all(axis=other)
    for row in hidden:  # one stripe, without gaps
        assert (np.diff(np.flatnonzero(row)) == 1).all()
    return hidden.sum(axis=1)


@pytest.mark.parametrize(("axis", "name"), [(1, "frequency_mask"), (2, "time_mask")])
def test_masks_are_stripes_of_bounded_width(rng, axis, name):
    waves = noise(rng, 200)
    plain = PLAIN.prepare(waves).numpy()[..., 0]
    modality = dataclasses.replace(PLAIN, **{name: 5})
    images = modality.prepare(waves, draws(count=200)).numpy()[..., 0]
    widths = masked_lines(images, plain, axis)
    assert set(widths) == set(range(6))
    means = plain.mean(axis=(1, 2))
    for image, whole, mean in zip(images, plain, means, strict=True):
        np.testing.assert_allclose(image[image != whole], mean, rtol=1e-5)


def test_masks_are_drawn_anew_from_a_seed_and_only_in_training(rng):
    modality = dataclasses.replace(PLAIN, frequency_mask=20, time_mask=20)
    waves = noise(rng)
    one, same, other = (modality.prepare(waves, draws(s)).numpy() for s in (1, 1, 3))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    np.testing.assert_array_equal(modality.prepare(waves), PLAIN.prepare(waves))
    np.testing.assert_array_equal(PLAIN.prepare(waves, draws()), PLAIN.prepare(waves))


@given(size=st.integers(1, 20), share=st.floats(0, 1), seed=st.integers(0, 2**31 - 1))
def test_stripes_lie_inside_of_the_image(size, share, seed):
    most = round(share * size)
    shape, seed = tf.constant([50, size, 3]), tf.constant([seed, 1])
    stripe = stripes(shape, 1, most, seed)
    assert stripe.shape == (50, size, 1)
    widths = stripe.numpy().sum(axis=(1, 2))
    assert widths.min() >= 0 and widths.max() <= most


def test_every_place_can_be_masked():
    stripe = stripes(tf.constant([400, 10, 3]), 1, 3, tf.constant([1, 1])).numpy()
    assert stripe.any(axis=0).all()
    whole = stripes(tf.constant([400, 10, 3]), 1, 10, tf.constant([1, 1])).numpy()
    assert whole.all(axis=1).any()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("style", ["stft", "psd"])
def test_batches_of_unknown_size_are_the_same(rng, style, training):
    modality = dataclasses.replace(
        PLAIN,
        style=style,
        stored_seconds=0.15,
        frequency_mask=3,
        time_mask=4,
        standardize=True,
    )
    waves = noise(rng, 5, 1200)
    draw = draws(count=5) if training else None
    dataset = tf.data.Dataset.from_tensor_slices(waves).batch(5)
    dataset = dataset.map(lambda batch: modality.prepare(batch, draw))
    assert dataset.element_spec.shape == (None, *modality.input_shape)
    (images,) = dataset.as_numpy_iterator()
    np.testing.assert_allclose(images, modality.prepare(waves, draw), atol=2e-4)


@pytest.mark.parametrize("training", [False, True])
def test_files_go_through_the_pipeline(tmp_path, rng, training):
    files, rates = [], (8000, 8000, 16000, 11025, 8000)
    for number, rate in enumerate(rates):
        files.append(tmp_path / f"{number}.wav")
        write(files[-1], noise(rng, 1, 900 + number)[0], rate)
    indexed = {"audio": index_wavs([*files, ""])}
    labels = np.arange(6, dtype=np.int32)
    samples = Samples(tuple("abcdef"), indexed, labels, tuple("abcdef")).complete()
    modality = dataclasses.replace(PLAIN, frequency_mask=8, time_mask=8)
    for memory in (2**30, 0):  # in memory, and from the files in every epoch
        decoded = decode(samples, {"audio": modality}, memory=memory)
        batches = make_batches(decoded, 3, training, seed=1, crops=Crops())
        seen = [label for _, y in batches for label in y.numpy()]
        assert set(seen) <= set(range(5)) and len(seen) == (3 if training else 5)
        inputs = np.concatenate([x["audio"] for x, _ in batches])
        assert inputs.shape[1:] == modality.input_shape and np.isfinite(inputs).all()
        if not training:
            np.testing.assert_array_equal(seen, range(5))


def test_a_sample_without_sound_is_zeros(tmp_path, rng):
    file = tmp_path / "a.wav"
    write(file, noise(rng, 1, 900)[0])
    sources = {"audio": index_wavs([file, ""]), "image": np.zeros((2, 3))}
    samples = Samples(("a", "b"), sources, np.zeros(2, "int32"), ("x",)).complete(True)
    decoded = decode(samples, {"audio": PLAIN})
    (batch,) = decoded.batches(2, False).as_numpy_iterator()
    assert batch["audio"][0].any() and not batch["audio"][1].any()


WRONG = {
    "style": {"style": "mel"},
    "engine": {"engine": "torch"},
    "codec": {"codec": "ogg"},
    "rate": {"rate": 0},
    "hop": {"hop": 0},
    "window": {"window": 1},
    "seconds": {"seconds": 0.001},
    "frequency_mask": {"frequency_mask": 34},
    "time_mask": {"time_mask": -1},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_options_are_refused(name):
    with pytest.raises(ValueError, match=f"Expected.*Received: .*{name}="):
        dataclasses.replace(PLAIN, **WRONG[name])
