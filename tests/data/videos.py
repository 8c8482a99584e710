"""Videos that tests encode: the second is in the grey, and in the pitch."""

import av
import numpy as np

FPS, RATE = 10, 22050


def grey(second):
    return 30 + 25 * second


def hertz(second):
    return 400 * (1 + second)


def encode(
    path,
    seconds=4,
    size=(64, 48),
    video="libx264",
    audio="aac",
    sound_from=0.0,
    faststart=False,
):
    """Writes a video; `None` leaves out its picture or its sound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"movflags": "faststart"} if faststart else {}
    kind = "flv" if path.suffix == ".flv" else "mp4"
    with av.open(str(path), "w", format=kind, options=options) as container:
        streams = []
        if video:
            stream = container.add_stream(video, rate=FPS)
            (stream.width, stream.height), stream.pix_fmt = size, "yuv420p"
            stream.bit_rate = 400_000
            streams.append((stream, pictures(seconds, size)))
        if audio:
            stream = container.add_stream(audio, rate=RATE, layout="mono")
            streams.append((stream, sounds(stream, seconds, sound_from)))
        for stream, frames in streams:
            for frame in (*frames, None):
                container.mux(stream.encode(frame))


def pictures(seconds, size):
    for number in range(round(seconds * FPS)):
        pixels = np.full((size[1], size[0], 3), grey(number // FPS), "uint8")
        pixels[:8, :8] = 255  # the upper left corner
        yield av.VideoFrame.from_ndarray(pixels, format="rgb24")


def sounds(stream, seconds, sound_from):
    time = np.arange(round(sound_from * RATE), round(seconds * RATE)) / RATE
    wave = 0.5 * np.sin(2 * np.pi * hertz(np.floor(time)) * time)
    whole = av.AudioFrame.from_ndarray(
        (32767 * wave).astype("<i2")[None], format="s16", layout="mono"
    )
    whole.rate, whole.pts = RATE, round(sound_from * RATE)
    resampler = av.AudioResampler(
        stream.codec_context.format, "mono", RATE, stream.codec_context.frame_size or 0
    )
    yield from (*resampler.resample(whole), *resampler.resample(None))
