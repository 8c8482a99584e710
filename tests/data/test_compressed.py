import struct
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data import index_compressed
from keras_c2kd.data.flac import check_flac, crc8, crc16
from tests.data.sounds import encoded, hum

ID3 = b"ID3\x04\0\0" + bytes([0, 0, 2, 44]) + bytes(300)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("codec", "rate"),
    [
        *(("flac", rate) for rate in (8000, 11025, 16000, 22050, 44100, 96000)),
        *(("mp3", rate) for rate in (8000, 11025, 16000, 22050, 32000, 44100, 48000)),
    ],
)
def test_rates_are_those_of_the_headers(tmp_path, rng, codec, rate, channels):
    content = encoded(hum(rng, 0.5, rate, channels), rate, codec)
    paths = [tmp_path / name for name in ("plain", "tagged")]
    paths[0].write_bytes(content)
    paths[1].write_bytes(ID3 + content)
    found = index_compressed([*paths, ""])
    assert list(found["path"]) == [*map(str, paths), ""]
    assert list(found["rate"]) == [rate, rate, 0]
    assert list(found["bytes"]) == [len(content), len(content) + len(ID3), 0]


@pytest.mark.parametrize("frames", [1, 15, 16, 192, 4607, 4608, 4609, 200_000])
def test_flac_of_any_length_is_whole(rng, frames):
    assert check_flac(encoded(hum(rng, frames / 16000), 16000, "flac")) == 16000


def by_division(content, polynomial, bits):
    """A checksum as the remainder of a long division, bit by bit."""
    value = int.from_bytes(content, "big") << bits
    divisor = polynomial | 1 << bits
    while value.bit_length() > bits:
        value ^= divisor << (value.bit_length() - bits - 1)
    return value


@given(content=st.binary(max_size=200))
def test_checksums_are_remainders(content):
    assert crc8(content) == by_division(content, 0x07, 8)
    if content:
        assert crc16(content) == by_division(content, 0x8005, 16)


def with_fields(content, total=None, bits=None, rate=None):
    fields = int.from_bytes(content[18:26], "big")
    if total is not None:
        fields = fields >> 36 << 36 | total
    if bits is not None:
        fields = fields & ~(31 << 36) | (bits - 1) << 36
    if rate is not None:
        fields = fields & (1 << 44) - 1 | rate << 44
    return content[:18] + fields.to_bytes(8, "big") + content[26:]


DAMAGE = {
    "nothing": (lambda flac: b"", "neither, b'' at its start"),
    "text": (lambda flac: b"<html>", "neither, b'<html>' at its start"),
    "wav": (lambda flac: b"RIFF" + struct.pack("<I", 36) + b"WAVE", "neither"),
    "only a name": (lambda flac: flac[:30], "without its first block"),
    "blocks without end": (lambda flac: flac[:60], "FLAC without samples"),
    "cut off": (lambda flac: flac[:-100], "a wrong checksum"),
    "a bit": (lambda flac: flac[:9000] + b"\0" + flac[9001:], "a wrong checksum"),
    "one more": (
        lambda flac: with_fields(flac, total=16001),
        "claims 16001 samples, but ends at 16000",
    ),
    "one fewer": (lambda flac: with_fields(flac, total=15999), "claims 15999"),
    "billions": (lambda flac: with_fields(flac, total=2**35), "claims 34359738368"),
    "unknown": (lambda flac: with_fields(flac, total=0), "claims 0 samples"),
    "24 bits": (lambda flac: with_fields(flac, bits=24), "24 bits instead of 16"),
    "no rate": (lambda flac: with_fields(flac, rate=0), "a rate of 0 Hz"),
    "only a tag": (lambda flac: ID3, "neither, b'' at its start"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_what_is_neither_or_damaged_is_named(tmp_path, rng, case):
    change, words = DAMAGE[case]
    file, whole = tmp_path / "a", tmp_path / "b"
    content = encoded(hum(rng), 16000, "flac")
    whole.write_bytes(content)
    file.write_bytes(change(content))
    with pytest.raises(ValueError, match="Expected a FLAC or MP3 file") as error:
        index_compressed([str(file)])
    assert str(file) in str(error.value)
    assert words in str(error.value).split("Received: ")[1]
    broken = []
    found = index_compressed([file, whole], broken)
    assert list(found["path"]) == ["", str(whole)] and len(broken) == 1


@pytest.mark.parametrize("path", ["gone", ".", "nul\0"])
def test_what_is_no_file_is_named(tmp_path, path):
    with pytest.raises(ValueError, match="Expected a FLAC or MP3.*Received: .+"):
        index_compressed([f"{tmp_path}/{path}"])


def test_flac_that_was_cut_where_a_frame_ends_is_named(rng):
    content = encoded(hum(rng), 16000, "flac")
    last = next(n for n in range(100, 20_000) if crc16(content[-n:]) == 0)
    with pytest.raises(ValueError, match="claims 16000 samples, but ends at"):
        check_flac(content[:-last])


def test_a_file_of_gigabytes_is_refused(tmp_path):
    with open(tmp_path / "a", "wb") as file:
        file.write(b"fLaC")
        file.truncate(2**30 + 1)  # a hole: it takes no room on the disk
    with pytest.raises(ValueError, match="1073741825 bytes, more than 1 GiB"):
        index_compressed([tmp_path / "a"])


@pytest.mark.parametrize("codec", ["flac", "mp3"])
def test_mutated_files_have_a_rate_or_are_named(tmp_path, rng, codec):
    content, outcomes = encoded(hum(rng), 16000, codec), Counter()
    file = tmp_path / "a"
    for _ in range(150):
        mutated = bytearray(content)
        at = int(rng.integers(rng.choice([60, len(mutated)])))
        kind = rng.integers(3)
        if kind == 0:
            mutated[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            mutated[at : at + 4] = rng.bytes(4)
        else:
            del mutated[at : at + int(rng.integers(1, 40))]
        file.write_bytes(mutated)
        try:
            found = index_compressed([file])
        except ValueError as error:
            assert str(file) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
        else:
            assert 0 < found["rate"][0] < 2**20
            outcomes["read"] += 1
    assert outcomes["named"] > 0 and outcomes["read"] > 5, outcomes
