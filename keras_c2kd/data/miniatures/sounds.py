"""Generated sounds and voices for the miniatures of clips."""

from __future__ import annotations

import numpy as np

RATE = 16_000  # of the generated sounds, Hz


_SOUNDS = 10


_VOICES = {  # pitch, its rise in a sentence, trembling, loudness, syllables a second
    "NEU": (1.0, -0.05, 0.01, 0.5, 3.5),
    "HAP": (1.35, 0.25, 0.02, 0.8, 4.5),
    "SAD": (0.85, -0.25, 0.03, 0.3, 2.5),
    "FEA": (1.5, 0.1, 0.08, 0.6, 5.5),
    "DIS": (0.75, -0.1, 0.05, 0.5, 2.0),
    "ANG": (1.15, -0.3, 0.02, 1.0, 4.0),
}


def sound(rng: np.random.Generator, kind: int, seconds: float) -> np.ndarray:
    """A noise of one of ten characters, such as a bell, a siren or a rumble.

    Args:
        rng: what is left to chance: pitch, loudness, noise, when it sets in.
        kind: which of the ten.
        seconds: how long it is.

    Returns:
        int16 `(samples,)` at 16 kHz.
    """
    time = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    pitch = 220.0 * 2.0 ** rng.uniform(0, 2)
    wave = _SOUND[kind % _SOUNDS](rng, time, pitch)
    wave = np.roll(wave, int(rng.integers(len(wave))))
    return _recorded(rng, wave)


def voice(rng: np.random.Generator, emotion: str, seconds: float) -> np.ndarray:
    """A humming voice in the melody of an emotion; see `sound`."""
    pitch, rise, tremble, loud, syllables = _VOICES[emotion]
    time = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
    speaker = 110.0 * 2.0 ** rng.uniform(0, 1)
    pitch = speaker * pitch * rng.uniform(0.85, 1.15)
    melody = pitch * (1 + rise * (time / seconds - 0.5))
    melody *= 1 + tremble * np.sin(2 * np.pi * 6 * time, dtype=np.float32)
    pace = syllables * rng.uniform(0.85, 1.15)
    envelope = np.abs(np.sin(np.pi * pace * time)) ** 0.7
    wave = _harmonics(melody, 6, slope=1.6 - loud) * envelope
    return _recorded(rng, wave * loud)


def _harmonics(melody, count, slope):
    """A tone and its overtones; `melody` is the pitch at every sample, in Hz."""
    phase = 2 * np.pi * np.cumsum(melody, dtype=np.float64) / RATE
    phase = np.mod(phase, 2 * np.pi).astype(np.float32)
    return sum(np.sin(n * phase) / n**slope for n in range(1, count + 1))


def _tone(rng, time, pitch):
    return _harmonics(np.full_like(time, pitch), 3, 1.0)


def _rising(rng, time, pitch):
    return _harmonics(pitch * 2 ** ((time * 1.5) % 1.0), 3, 1.0)


def _falling(rng, time, pitch):
    return _harmonics(pitch * 2 ** (1 - (time * 1.5) % 1.0), 3, 1.0)


def _siren(rng, time, pitch):
    return _harmonics(pitch * 2 ** (0.4 * np.sin(2 * np.pi * 3 * time)), 3, 1.0)


def _pulses(rng, time, pitch):
    return _tone(rng, time, pitch) * ((time * 4) % 1.0 < 0.4)


def _rattle(rng, time, pitch):
    return rng.normal(size=len(time)) * ((time * 11) % 1.0 < 0.3)


def _bell(rng, time, pitch):
    ring = sum(
        np.sin(2 * np.pi * pitch * ratio * time) / (1 + n)
        for n, ratio in enumerate((1.0, 2.76, 5.4))
    )
    return ring * np.exp(-6 * ((time * 1.2) % 1.0))


def _buzz(rng, time, pitch):
    return _harmonics(np.full_like(time, pitch / 4), 16, 0.3)


def _rumble(rng, time, pitch):
    noise = rng.normal(size=len(time))
    width = round(RATE / pitch * 2)
    total = np.cumsum(np.concatenate([np.zeros(width), noise]))
    return total[width:] - total[:-width]


def _warble(rng, time, pitch):
    return _harmonics(pitch * np.where((time * 5) % 1.0 < 0.5, 1.0, 1.5), 2, 1.0)


_SOUND = (
    _tone,
    _rising,
    _falling,
    _siren,
    _pulses,
    _rattle,
    _bell,
    _buzz,
    _rumble,
    _warble,
)


def _recorded(rng, wave):
    """Through a bad microphone: noise, and any loudness."""
    level = np.sqrt(np.mean(np.square(wave)) + 1e-12)
    noise = 10 ** rng.uniform(-1.2, 0.3) * level
    wave = wave + noise * rng.normal(size=len(wave))
    wave *= rng.uniform(0.2, 0.9) / np.abs(wave).max()
    return (32767 * wave).astype(np.int16)
