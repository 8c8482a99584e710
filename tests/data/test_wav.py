import io
import struct
import tracemalloc
import warnings
import wave
from collections import Counter

import numpy as np
import pytest
import scipy.io.wavfile
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data import Samples, Spectrogram, decode, index_wavs
from keras_c2kd.data.wav import decode_wav

DTYPES = {
    "8": np.uint8,
    "16": np.int16,
    "32": np.int32,
    "float32": np.float32,
    "float64": np.float64,
}
GUID_END = bytes.fromhex("000000001000800000aa00389b71")


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def wav(
    samples, bits=16, rate=8000, channels=1, code=1, before=b"", length=None, fmt=None
):
    """The bytes of a wav file, by hand; `length` is what its header claims."""
    width = channels * bits // 8
    if fmt is None:
        fmt = struct.pack("<HHIIHH", code, channels, rate, rate * width, width, bits)
    data = chunk(b"data", samples)
    if length is not None:
        data = b"data" + struct.pack("<I", length) + samples
    body = b"WAVE" + chunk(b"fmt ", fmt) + before + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def random_samples(rng, kind, frames, channels):
    shape = (frames, channels) if channels > 1 else (frames,)
    if kind.startswith("float"):
        return rng.uniform(-1, 1, shape).astype(DTYPES[kind])
    limits = np.iinfo(DTYPES[kind])
    return rng.integers(limits.min, limits.max, shape, DTYPES[kind], endpoint=True)


def scaled(samples):
    """What scipy reads, as float64 in [-1, 1), channels mixed."""
    values = np.asarray(samples, np.float64)
    if samples.dtype == np.uint8:
        values = values / 128 - 1
    elif samples.dtype.kind == "i":
        values = values / 2.0 ** (8 * samples.dtype.itemsize - 1)
    return values.mean(axis=1) if values.ndim == 2 else values


def read_by_scipy(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return scipy.io.wavfile.read(path)


def read(path, **span):
    """One file through a graph, as a pipeline reads it."""
    source = {**index_wavs([str(path)]), **{k: np.array([v]) for k, v in span.items()}}
    dataset = tf.data.Dataset.from_tensor_slices(source).map(decode_wav)
    (samples,) = dataset.as_numpy_iterator()
    return samples


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("kind", DTYPES)
def test_samples_are_those_that_scipy_reads(tmp_path, rng, kind, channels):
    file = tmp_path / "a.wav"
    scipy.io.wavfile.write(file, 11025, random_samples(rng, kind, 500, channels))
    rate, expected = read_by_scipy(file)
    header = {name: array[0] for name, array in index_wavs([file]).items()}
    assert header["path"] == str(file) and header["rate"] == rate == 11025
    assert header["frames"] == 500 and header["channels"] == channels
    assert header["bits"] == 8 * expected.dtype.itemsize
    assert header["float"] == (expected.dtype.kind == "f")
    np.testing.assert_allclose(read(file), scaled(expected), atol=1e-6)
    eager = decode_wav({k: tf.constant(v) for k, v in header.items()})
    np.testing.assert_array_equal(eager, read(file))
    assert eager.dtype == tf.float32


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_24_bits_are_those_that_scipy_reads(tmp_path, rng, channels):
    file = tmp_path / "a.wav"
    with wave.open(str(file), "wb") as writer:
        writer.setparams((channels, 3, 48000, 0, "NONE", None))
        writer.writeframes(rng.bytes(3 * 700 * channels))
    expected = scaled(read_by_scipy(file)[1])  # scipy shifts them up to 32 bits
    np.testing.assert_allclose(read(file), expected, atol=1e-6)


def test_16_bits_are_exact(tmp_path):
    values = np.arange(-(2**15), 2**15, dtype=np.int16)
    with wave.open(str(tmp_path / "a.wav"), "wb") as writer:
        writer.setparams((1, 2, 8000, 0, "NONE", None))
        writer.writeframes(values.tobytes())
    np.testing.assert_array_equal(read(tmp_path / "a.wav") * 2**15, values)


@pytest.mark.parametrize(("code", "bits"), [(1, 16), (1, 24), (3, 32)])
def test_an_extensible_format_is_read(tmp_path, rng, code, bits):
    content = rng.integers(-(2**15), 2**15, 2 * 300).astype(
        "<f4" if code == 3 else "<i2"
    )
    content = (content / 2**15 if code == 3 else content).astype(content.dtype)
    content = content.tobytes()[: 300 // (bits // 4) * (bits // 4)]
    width = 2 * bits // 8
    head = struct.pack("<HHIIHH", 0xFFFE, 2, 8000, 8000 * width, width, bits)
    fmt = head + struct.pack("<HHIH", 22, bits, 3, code) + GUID_END
    file = tmp_path / "a.wav"
    file.write_bytes(wav(content, bits, channels=2, fmt=fmt))
    np.testing.assert_allclose(read(file), scaled(read_by_scipy(file)[1]), atol=1e-6)
    file.write_bytes(wav(content, bits, channels=2, fmt=fmt[:-1] + b"\0"))
    with pytest.raises(ValueError, match="format 65534"):
        index_wavs([file])


def test_other_chunks_may_lie_before_the_samples(tmp_path, rng):
    samples = rng.integers(-1000, 1000, 99).astype("<i2")
    other = chunk(b"LIST", b"INFOISFT\4\0\0\0abc\0") + chunk(b"odd ", b"12345")
    (tmp_path / "a.wav").write_bytes(
        wav(samples.tobytes(), before=other) + chunk(b"id3 ", b"tag")
    )
    np.testing.assert_allclose(read(tmp_path / "a.wav") * 2**15, samples)


@pytest.mark.parametrize(
    ("start", "stop", "first", "last"),
    [
        (0.0, 1.0, 0, 1000),
        (0.25, 0.5, 250, 500),
        (0.9, 5.0, 900, 1000),
        (-1.0, 0.1, 0, 100),
        (0.5, 0.5, 0, 0),
        (0.5, 0.2, 0, 0),
        (3.0, 9.0, 0, 0),
    ],
)
def test_a_span_in_seconds_is_cut_out(tmp_path, start, stop, first, last):
    values = np.stack([np.arange(1000), np.arange(1000)], axis=1).astype("<i2")
    file = tmp_path / "a.wav"
    file.write_bytes(wav(values.tobytes(), rate=1000, channels=2))
    heard = read(file, start=start, stop=stop) * 2**15
    np.testing.assert_array_equal(heard, values[first:last, 0])


def test_a_streamed_file_goes_on_to_its_end(tmp_path):
    values = np.arange(100, dtype="<i2")
    content = wav(values.tobytes() + b"x", length=0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(content)
    np.testing.assert_array_equal(read(tmp_path / "a.wav") * 2**15, values)


SAMPLES = np.arange(100, dtype="<i2").tobytes()
REFUSED = {
    "empty": (b"", "b'' at its start"),
    "text": (b"<html>Not found</html>", "b'<html>Not fo' at its start"),
    "big-endian": (b"RIFX" + wav(SAMPLES)[4:], "b'RIFX"),
    "RIFF, but an image": (b"RIFF\0\0\0\0WEBPVP8 ", "at its start"),
    "only a start": (wav(SAMPLES)[:20], "a format of 0 bytes"),
    "no data": (wav(SAMPLES)[:36], "no samples in it"),
    "no samples": (wav(b""), "no samples in it"),
    "length never written": (wav(SAMPLES, length=0), "no samples in it"),
    "streamed, nothing": (wav(b"", length=0xFFFFFFFF), "no samples in it"),
    "cut off": (wav(SAMPLES)[:-1], "claims 200 bytes of samples in a file of 243"),
    "half a sample": (wav(SAMPLES[:-1]), "199 bytes of samples, 2 each"),
    "data first": (
        b"RIFF\0\0\0\0WAVE" + chunk(b"data", SAMPLES),
        "samples before their format",
    ),
    "compressed": (wav(SAMPLES, code=2, bits=4), "format 2, which is compressed"),
    "A-law": (wav(SAMPLES, code=6, bits=8), "format 6, which is compressed"),
    "12 bits": (wav(SAMPLES, bits=12), "12 bits, int"),
    "float of 16 bits": (wav(SAMPLES, code=3), "16 bits, float"),
    "64 bits": (wav(SAMPLES, bits=64), "64 bits, int"),
    "no channel": (wav(SAMPLES, channels=0), "0 channels"),
    "65 channels": (wav(SAMPLES, channels=65), "65 channels"),
    "no rate": (wav(SAMPLES, rate=0), "a rate of 0 Hz"),
    "odd width": (
        wav(SAMPLES, fmt=struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 16)),
        "samples 1 bytes wide",
    ),
    "two rates": (
        wav(SAMPLES, fmt=struct.pack("<HHIIHH", 1, 1, 8000, 8000, 2, 16)),
        "a rate of 8000 Hz, but 8000 bytes a second",
    ),
    "short format": (wav(SAMPLES, fmt=b"\1\0\1\0"), "a format of 4 bytes"),
    "chunks without end": (
        wav(SAMPLES, before=chunk(b"junk", b"") * 1001),
        "more than 1000 chunks",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_complete_wav_file_is_named(tmp_path, case):
    content, words = REFUSED[case]
    file = tmp_path / "a.wav"
    file.write_bytes(content)
    with pytest.raises(ValueError, match="Expected a wav file") as error:
        index_wavs([str(file)])
    message = str(error.value)
    assert str(file) in message and words in message.split("Received: ")[1]


@pytest.mark.parametrize("path", ["gone.wav", ".", "nul\0.wav", "x" * 300])
def test_what_is_no_file_is_named(tmp_path, path):
    with pytest.raises(ValueError, match="Expected a wav file.*Received: .+"):
        index_wavs([f"{tmp_path}/{path}"])


def test_a_missing_file_and_a_broken_one_count_as_absent(tmp_path):
    (tmp_path / "a.wav").write_bytes(wav(SAMPLES))
    (tmp_path / "b.wav").write_bytes(b"RIFF")
    names, broken = ("", f"{tmp_path}/a.wav", f"{tmp_path}/b.wav"), []
    found = index_wavs(names, broken)
    assert list(found["path"]) == ["", names[1], ""]
    assert list(found["frames"]) == [0, 100, 0]
    assert len(broken) == 1 and names[2] in broken[0]
    assert index_wavs(["", ""])["path"].dtype.kind == "U"


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x7FFFF000])
def test_a_header_that_claims_gigabytes_takes_no_memory(tmp_path, length):
    file = tmp_path / "a.wav"
    file.write_bytes(wav(SAMPLES, length=length))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=f"claims {length} bytes"):
            index_wavs([file])
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


def test_a_file_of_more_than_2_gib_is_refused(tmp_path):
    file = tmp_path / "a.wav"
    with open(file, "wb") as writer:
        writer.write(wav(b"\0\0", length=0xFFFFFFFF))
        writer.truncate(2**31)  # a hole: it takes no room on the disk
    with pytest.raises(ValueError, match="2147483648 bytes, more than 2 GiB"):
        index_wavs([file])


CHANGES = {
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "emptied": lambda file: file.write_bytes(b""),
    "gone": lambda file: file.unlink(),
}


@pytest.mark.parametrize("case", CHANGES)
@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_a_file_that_changed_after_indexing_is_an_error(tmp_path, case, on_error):
    files = [tmp_path / name for name in ("a.wav", "b.wav")]
    for file in files:
        file.write_bytes(wav(SAMPLES, rate=1000))
    samples = Samples(
        ("a", "b"), {"audio": index_wavs(files)}, np.zeros(2, "int32"), ("x",)
    )
    CHANGES[case](files[1])
    modalities = {"audio": Spectrogram(1000, 0.1, 16, 8)}
    if on_error == "skip":
        decoded = decode(samples, modalities, on_error="skip")
        assert decoded.ids == ("a",) and str(files[1]) in decoded.skipped[0][1]
        return
    with pytest.raises(ValueError, match="complete sound file.*Received: ") as error:
        decode(samples, modalities)
    assert str(files[1]) in str(error.value)


@given(
    kind=st.sampled_from(sorted(DTYPES)),
    channels=st.integers(1, 8),
    frames=st.integers(1, 300),
    rate=st.integers(1000, 192_000),
    seed=st.integers(0, 2**32),
)
def test_any_file_of_scipys_is_read_alike(
    tmp_path_factory, kind, channels, frames, rate, seed
):
    rng, file = np.random.default_rng(seed), tmp_path_factory.mktemp("wav") / "a.wav"
    samples = random_samples(rng, kind, frames, channels)
    scipy.io.wavfile.write(file, rate, samples)
    source = {name: array[0] for name, array in index_wavs([file]).items()}
    assert source["rate"] == rate
    np.testing.assert_allclose(decode_wav(source), scaled(samples), atol=2e-6)


def mutate(content, rng, most):
    """Flip, overwrite, cut or repeat a few of the first bytes."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 3)):
        at, length = int(rng.integers(most)), int(rng.integers(1, 5))
        kind = rng.choice(5, p=[0.4, 0.2, 0.1, 0.1, 0.2])
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at : at + length] = rng.bytes(length)
        elif kind == 2:
            del content[at : at + length * 4]
        elif kind == 3:
            content[at:at] = content[at : at + length]
        else:  # a length, a rate, ...
            value = rng.choice([0, 1, 2, 255, 2**31, 2**32 - 1])
            content[at : at + 4] = struct.pack("<I", value)
    return bytes(content)


SEEDS = {
    "plain": wav(np.arange(-60, 60, dtype="<i2").tobytes()),
    "stereo of 24 bits": wav(bytes(range(240)), bits=24, channels=2),
    "float, after a list": wav(
        np.linspace(-1, 1, 60).astype("<f4").tobytes(),
        bits=32,
        code=3,
        before=chunk(b"LIST", b"INFO"),
    ),
    "8 bits": wav(bytes(range(200)), bits=8),
}


def test_mutated_headers_are_read_as_scipy_reads_them_or_named(tmp_path):
    rng, outcomes, seeds = np.random.default_rng(3), Counter(), list(SEEDS.values())
    for number in range(480):
        file, seed = tmp_path / f"{number}.wav", seeds[number % len(seeds)]
        file.write_bytes(mutate(seed, rng, seed.index(b"data") + 8))
        try:
            source = {name: array[0] for name, array in index_wavs([file]).items()}
        except ValueError as error:
            assert str(file) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        ours = decode_wav(source).numpy()
        assert len(ours) == source["frames"] <= 240
        try:
            rate, theirs = read_by_scipy(file)
        except UnboundLocalError:  # it stops where RIFF says that the file ends
            continue
        assert rate == source["rate"]
        np.testing.assert_allclose(ours, scaled(theirs), rtol=1e-5, atol=1e-6)
        outcomes["read"] += 1
    assert outcomes["named"] > 100 and outcomes["read"] > 10, outcomes


def test_mutated_wavs_end_in_samples_or_are_named(tmp_path):
    """Through the pipeline: what comes out is what a spectrogram can be made of."""
    rng, modalities = np.random.default_rng(4), {"audio": Spectrogram(8000, 0.02, 8, 4)}
    files = [tmp_path / f"{number}.wav" for number in range(120)]
    seeds = list(SEEDS.values())
    for number, file in enumerate(files):
        file.write_bytes(mutate(seeds[number % 4], rng, len(seeds[number % 4])))
    broken = []
    indexed = index_wavs(files, broken)
    ids = tuple(file.name for file in files)
    labels = np.zeros(len(files), "int32")
    samples = Samples(ids, {"audio": indexed}, labels, ("x",)).complete()
    decoded = decode(samples, modalities, on_error="skip")
    assert len(broken) + len(decoded.skipped) + len(decoded) == len(files)
    assert len(broken) > 10 and len(decoded) > 10
    for batch in decoded.batches(16, False):
        images = modalities["audio"].prepare(batch["audio"])
        assert np.isfinite(images).all()


def test_a_sample_that_is_no_number_is_named(tmp_path):
    file = tmp_path / "a.wav"
    for bad in (np.nan, np.inf, -np.inf):
        scipy.io.wavfile.write(file, 8000, np.array([0, bad] * 100, "float32"))
        indexed = {"audio": index_wavs([file])}
        samples = Samples(("a",), indexed, np.zeros(1, "int32"), ("x",))
        for rate in (8000, 4000):
            with pytest.raises(ValueError, match="a.wav.*no numbers in it"):
                decode(samples, {"audio": Spectrogram(rate, 0.02, 8, 4)})


def test_the_standard_librarys_reader_agrees(tmp_path, rng):
    file = tmp_path / "a.wav"
    file.write_bytes(wav(rng.bytes(4 * 50), channels=2))
    with wave.open(io.BytesIO(file.read_bytes())) as reader:
        frames = np.frombuffer(reader.readframes(50), "<i2").reshape(-1, 2)
    np.testing.assert_allclose(read(file), frames.mean(axis=1) / 2**15, atol=1e-7)
