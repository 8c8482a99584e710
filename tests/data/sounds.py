"""Compressed sound files that tests make themselves."""

import io

import numpy as np
import pytest


def encoded(samples, rate, codec):
    """The bytes of a FLAC or MP3 file; `samples` int16 `(N,)` or `(N, 2)`."""
    av = pytest.importorskip("av", reason="PyAV encodes the files, and is not here")
    file, layout = io.BytesIO(), "stereo" if samples.ndim == 2 else "mono"
    with av.open(file, "w", format=codec) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.reshape(1, -1)), format="s16", layout=layout
        )
        frame.sample_rate = rate
        for frames in (frame, None):
            for packet in stream.encode(frames):
                out.mux(packet)
    return file.getvalue()


def hum(rng, seconds=1.0, rate=16000, channels=1):
    """Two tones and some noise, int16."""
    time = np.arange(round(seconds * rate)) / rate
    wave = 8000 * np.sin(2 * np.pi * 440 * time) + 2000 * np.sin(9000 * time)
    waves = [wave / (1 + n) + rng.normal(0, 30, len(time)) for n in range(channels)]
    return np.stack(waves, axis=1).squeeze(1 if channels == 1 else ()).astype(np.int16)
