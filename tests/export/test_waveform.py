"""The spectrogram of a deployed student is that of `keras_c2kd.data`."""

import keras
import numpy as np
import pytest

from keras_c2kd.export import preprocessing_for, waveform_preprocessing

pytest.importorskip("tensorflow")

SETTINGS = {
    "stft": dict(window=256, hop=160),
    "psd, standardized": dict(window=256, hop=100, style="psd", standardize=True),
    "decibels": dict(window=256, hop=128, decibels=True),
    "odd window": dict(window=201, hop=64, style="psd"),
    "odd hann": dict(window=201, hop=64),
    "the middle": dict(window=256, hop=128, stored_seconds=1.5),
}


def both(spectrogram, wave):
    theirs = spectrogram.prepare(spectrogram.pack(wave)[None]).numpy()
    model = preprocessing_for(spectrogram)
    return np.asarray(model.predict_on_batch(wave[None])), theirs


def noise(rng, seconds, rate=8000):
    """Louder and quieter, as speech is; not periodic."""
    samples = rng.normal(size=round(seconds * rate))
    envelope = 0.02 + 0.2 * np.sin(np.linspace(0, 9, len(samples))) ** 2
    return (samples * envelope).astype("float32")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("seconds", [0.7, 1.0, 2.3])
def test_noise_is_heard_as_in_training(rng, name, seconds):
    from keras_c2kd.data import Spectrogram

    ours, theirs = both(Spectrogram(8000, 1.0, **SETTINGS[name]), noise(rng, seconds))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert np.median(np.abs(ours - theirs)) < 1e-5


def test_magnitudes_of_a_tone_agree_to_what_float32_keeps():
    from keras_c2kd.data import Spectrogram

    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)
    ours, theirs = map(
        np.exp, both(Spectrogram(8000, 1.0, 256, 160), tone.astype("float32"))
    )
    assert np.abs(ours - theirs).max() < 2e-6 * theirs.max()


def test_silence_and_what_is_too_loud():
    from keras_c2kd.data import Spectrogram

    for wave in (np.zeros(900), np.full(900, 7.0), np.full(900, -7.0)):
        ours, theirs = both(
            Spectrogram(8000, 0.1, 64, 32, style="psd"), wave.astype("float32")
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_its_file_is_small_and_loads_with_keras_alone(tmp_path, rng):
    model = waveform_preprocessing(16000, 10.0, window=128, hop=64)
    model.save(tmp_path / "waveform.keras")
    assert (tmp_path / "waveform.keras").stat().st_size < 200_000
    wave = noise(rng, 11, rate=16000)[None]
    loaded = keras.models.load_model(tmp_path / "waveform.keras")
    np.testing.assert_array_equal(
        np.asarray(loaded.predict_on_batch(wave)),
        np.asarray(model.predict_on_batch(wave)),
    )


def test_an_unknown_style_is_named():
    with pytest.raises(ValueError, match="Received: style='mel'"):
        waveform_preprocessing(8000, 1.0, 256, 128, style="mel")
