import io
import resource
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_c2kd.data import Depth, Samples, decode, decode_sun_depth, encode_sun_depth
from keras_c2kd.data.depth import resize_depth
from keras_c2kd.data.sun_rgbd import locate, read_scene
from tests.data.conftest import REAL, jpeg, needs_real_scenes, png, rotate

ALL = np.arange(65536, dtype="uint16").reshape(256, 256)


def test_every_16_bit_value_is_decoded_by_the_formula():
    rotated = ALL.astype("int64")
    expected = (((rotated >> 3) | (rotated << 13)) & 0xFFFF) / 1000.0
    decoded = decode_sun_depth(png(ALL)).numpy()[..., 0]
    np.testing.assert_allclose(decoded, np.minimum(expected, 8.0), rtol=1e-6)


def test_the_encoder_writes_what_the_decoder_reads():
    millimetres = np.minimum(ALL, 8000)
    metres = decode_sun_depth(encode_sun_depth(millimetres)).numpy()[..., 0]
    np.testing.assert_allclose(metres, millimetres / 1000.0, rtol=1e-6)


def test_the_encoder_writes_the_rotated_bits_as_pillow_reads_them():
    image = Image.open(io.BytesIO(encode_sun_depth(ALL)))
    assert image.mode.startswith("I;16")
    np.testing.assert_array_equal(np.asarray(image), rotate(ALL))


@needs_real_scenes
def test_real_depth_is_pillows_pixels_in_metres():
    scene = read_scene(locate(REAL)[0], "kv1/b3dodata/img_0063", depth="depth")
    rotated = np.asarray(Image.open(scene.depth)).astype("int64")
    metres = (((rotated >> 3) | (rotated << 13)) & 0xFFFF) / 1000.0
    with open(scene.depth, "rb") as file:
        decoded = decode_sun_depth(file.read()).numpy()
    assert decoded.dtype == "float32"
    np.testing.assert_allclose(decoded[..., 0], np.minimum(metres, 8.0), rtol=1e-6)


def test_it_runs_inside_a_dataset():
    dataset = tf.data.Dataset.from_tensors(encode_sun_depth(ALL)).map(decode_sun_depth)
    assert next(iter(dataset)).shape == (256, 256, 1)


def chunk(name, content):
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def black(width, height):
    """A whole 16-bit grey PNG of zeros, made of one compressed megabyte."""
    size, megabyte = height * (1 + 2 * width), 1 << 20
    packer = zlib.compressobj()
    first = packer.compress(bytes(megabyte)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(megabyte)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(size % megabyte)) + packer.flush(zlib.Z_FULL_FLUSH)
    # An empty last block, then what Adler-32 is of zeros.
    end = b"\x03\0" + struct.pack(">HH", size % 65521, 1)
    data = first + again * (size // megabyte - 1) + rest + end
    header = struct.pack(">IIBBBBB", width, height, 16, 0, 0, 0, 0)
    chunks = {b"IHDR": header, b"IDAT": data, b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*both) for both in chunks.items())


def claiming(width, height):
    content = bytearray(png(ALL))
    content[16:24] = struct.pack(">II", width, height)
    return bytes(content)


def test_a_png_of_this_kind_is_read():
    assert decode_sun_depth(black(1000, 1500)).shape == (1500, 1000, 1)


LARGE = {
    "whole, of 100,010,000 pixels": black(10_001, 10_000),
    "a header of 10 billion pixels": claiming(100_000, 100_000),
}


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_too_large_is_refused_before_anything_is_allocated(tmp_path, kind):
    file = tmp_path / "a.png"
    file.write_bytes(LARGE[kind])
    assert file.stat().st_size < 300_000
    labels = np.zeros(1, "int32")
    samples = Samples(("a",), {"depth": np.array([str(file)])}, labels, ("x",))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    words = "16-bit greyscale PNG at .*a.png.*x10+0, more than 100 million pixels"
    with pytest.raises(ValueError, match=words):
        decode(samples, {"depth": Depth(8)})
    # In KiB; its pixels would take 195 MiB.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


NO_DEPTH = {
    "8-bit PNG": png(np.full((4, 4), 7, "uint8")),
    "colour PNG": png(np.full((4, 4, 3), 7, "uint8")),
    "16-bit grey and alpha": tf.io.encode_png(np.ones((4, 4, 2), "uint16")).numpy(),
    "16-bit colour": tf.io.encode_png(np.ones((4, 4, 3), "uint16")).numpy(),
    "JPEG": jpeg(np.full((4, 4), 7, "uint8")),
    "start of a PNG": png(ALL)[:20],
    "no pixels": claiming(0, 10),
    "another file with these bits": b"GIF89a" + png(ALL)[6:],
    "text": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", NO_DEPTH)
def test_anything_but_16_bit_grey_is_refused_eagerly_and_in_a_graph(kind):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_sun_depth(NO_DEPTH[kind])
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(tf.data.Dataset.from_tensors(NO_DEPTH[kind]).map(decode_sun_depth)))


def test_a_png_that_ends_early_never_gives_other_pixels(rng):
    content = encode_sun_depth(rng.integers(0, 8001, (12, 16)))
    whole, refused = decode_sun_depth(content).numpy(), 0
    for end in range(len(content)):
        try:
            np.testing.assert_array_equal(decode_sun_depth(content[:end]), whole)
        except tf.errors.InvalidArgumentError:
            refused += 1
    assert refused >= len(content) - 20  # the pixels end before the last chunk does


def test_resizing_never_invents_a_distance():
    depth = np.random.default_rng(0).choice([0, 1000, 3000], (37, 53, 1))
    resized = resize_depth(tf.constant(depth, tf.uint16), 16).numpy()
    assert resized.shape == (16, 16, 1) and set(np.unique(resized)) <= {0, 1000, 3000}
