import io
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_c2kd.data import decode_rgb
from keras_c2kd.data.image import describe_image, image_size, resize_rgb
from keras_c2kd.data.sun_rgbd import locate, read_scene
from tests.data.conftest import REAL, encoded, jpeg, mutate, needs_real_scenes, png

COLOURS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype="uint8")
GREY = COLOURS[..., 0]


def pillow(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)


def test_a_jpeg_is_what_pillow_makes_of_it():
    smooth = np.linspace(0, 255, 40 * 60).reshape(40, 60, 1).repeat(3, axis=2)
    content = jpeg(smooth.astype("uint8"))
    ours = decode_rgb(content)
    assert ours.dtype == tf.uint8 and ours.shape == (40, 60, 3)
    difference = np.abs(ours.numpy().astype(int) - pillow(content))
    assert difference.max() <= 4  # TensorFlow's default transform is the fast one


@needs_real_scenes
def test_a_real_photograph_is_what_pillow_makes_of_it():
    scene = read_scene(locate(REAL)[0], "kv1/b3dodata/img_0063")
    with open(scene.rgb, "rb") as file:
        content = file.read()
    assert np.abs(decode_rgb(content).numpy().astype(int) - pillow(content)).mean() < 1


SMOOTH = np.stack(np.meshgrid(np.arange(60) * 4, np.arange(40) * 6), axis=-1)
SMOOTH = np.concatenate([SMOOTH, SMOOTH.mean(axis=-1, keepdims=True)], axis=-1)
SMOOTH = Image.fromarray(SMOOTH.astype("uint8"))
FADING = SMOOTH.convert("RGBA")
FADING.putalpha(SMOOTH.convert("L"))


def saved(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def palette(colours):
    return SMOOTH.convert("P", palette=Image.Palette.ADAPTIVE, colors=colours)


def on_white(content):
    """What Pillow sees, laid on white where it is transparent."""
    image = Image.open(io.BytesIO(content))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.asarray(image.convert("RGB")).astype(int)


KINDS = {
    "JPEG": (saved(SMOOTH, "JPEG", quality=95), 4),
    "progressive JPEG": (saved(SMOOTH, "JPEG", progressive=True), 4),
    "grey JPEG": (saved(SMOOTH.convert("L"), "JPEG"), 2),
    "CMYK JPEG": (saved(SMOOTH.convert("CMYK"), "JPEG", quality=95), 4),
    "PNG": (saved(SMOOTH, "PNG"), 0),
    "grey PNG": (saved(SMOOTH.convert("L"), "PNG"), 0),
    "RGBA PNG": (saved(FADING, "PNG"), 1),
    "grey and alpha PNG": (saved(FADING.convert("LA"), "PNG"), 1),
    "palette PNG": (saved(palette(30), "PNG"), 0),
    "palette of 2 bits": (saved(palette(4), "PNG", bits=2), 0),
    "palette of 1 bit": (saved(palette(2), "PNG", bits=1), 0),
    "a transparent palette": (saved(palette(30), "PNG", transparency=3), 0),
    "a fading palette": (
        saved(palette(30), "PNG", transparency=bytes(range(0, 240, 8))),
        1,
    ),
    "a transparent colour": (saved(SMOOTH, "PNG", transparency=(0, 0, 0)), 0),
    "black and white": (saved(SMOOTH.convert("1"), "PNG"), 0),
    "black and transparent": (saved(SMOOTH.convert("1"), "PNG", transparency=0), 0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_what_pillow_makes_of_it(kind):
    content, tolerance = KINDS[kind]
    in_graph = next(iter(tf.data.Dataset.from_tensors(content).map(decode_rgb)))
    for ours in (decode_rgb(content), in_graph):
        assert ours.dtype == tf.uint8 and ours.shape == (40, 60, 3)
        assert np.abs(ours.numpy().astype(int) - on_white(content)).max() <= tolerance
    assert list(image_size(content)) == [40, 60]


ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4))
ADAM7 += ((2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def written(samples, bits, colour_type, extra=(), interlaced=False):
    """A PNG by its specification: Pillow writes neither all of these nor Adam7."""

    def chunk(name, content):
        crc = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + crc

    def rows(image):
        for row in image.reshape(len(image), -1):
            big_endian = row.astype(">u2").view("uint8").reshape(-1, 2)
            digits = np.unpackbits(big_endian, axis=1)[:, 16 - bits :]
            yield b"\0" + np.packbits(digits).tobytes()

    passes = [samples]
    if interlaced:
        passes = [samples[y::down, x::across] for y, x, down, across in ADAM7]
    pixels = b"".join(row for part in passes if part.size for row in rows(part))
    header = (*samples.shape[1::-1], bits, colour_type, 0, 0, interlaced)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", *header)), *extra]
    chunks += [(b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*named) for named in chunks)


FORMATS = [(1, 0), (2, 0), (4, 0), (8, 0), (16, 0), (8, 2), (16, 2), (1, 3)]
FORMATS += [(2, 3), (4, 3), (8, 3), (8, 4), (16, 4), (8, 6), (16, 6)]


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize(("bits", "colour_type"), FORMATS)
def test_every_png_there_is(bits, colour_type, transparent, interlaced, rng):
    samples = rng.integers(0, 2**bits, (13, 19, CHANNELS[colour_type]))
    palette = rng.integers(0, 256, (2**bits if bits <= 8 else 1, 4))
    key, extra, alpha = samples[3, 3, :3], [], np.ones((13, 19))
    if colour_type == 3:
        extra = [(b"PLTE", palette[:, :3].astype("uint8").tobytes())]
        colours = palette[samples[..., 0], :3]
        if transparent:
            extra += [(b"tRNS", palette[:, 3].astype("uint8").tobytes())]
            alpha = palette[samples[..., 0], 3] / 255
    else:
        scaled = samples / (2**bits - 1) * 255
        colours = scaled[..., :3] if colour_type in (2, 6) else scaled[..., :1]
        if colour_type in (4, 6):
            alpha = scaled[..., -1] / 255
        elif transparent:
            extra = [(b"tRNS", key.astype(">u2").tobytes())]
            alpha = (samples != key).any(axis=-1)
    expected = 255 + (colours - 255.0) * alpha[..., None]
    ours = decode_rgb(written(samples, bits, colour_type, extra, interlaced)).numpy()
    # Of 16 bits the high byte is kept, of colour and alpha: a level each at most.
    assert np.abs(ours - expected).max() <= (2 if bits == 16 else 0.5)


def with_transform(number):
    """Adobe's mark in a JPEG of four channels: 0 is CMYK, 2 is YCCK."""
    content = KINDS["CMYK JPEG"][0]
    at = content.index(b"Adobe") + len(b"Adobe") + 6
    return content[:at] + bytes([number]) + content[at + 1 :]


def test_ycck_is_what_pillow_makes_of_it():
    content = with_transform(2)
    assert with_transform(0) == KINDS["CMYK JPEG"][0] != content
    difference = np.abs(decode_rgb(content).numpy().astype(int) - pillow(content))
    assert difference.max() <= 8 and difference.mean() <= 1.5


def test_sixteen_bits_keep_their_high_byte():
    ramp = np.arange(40 * 60, dtype="uint16").reshape(40, 60) * 27
    ours = decode_rgb(saved(Image.fromarray(ramp), "PNG")).numpy()
    np.testing.assert_array_equal(ours, (ramp // 256)[..., None].repeat(3, axis=-1))


def claiming(width, height):
    """A PNG whose header claims another size."""
    content = bytearray(KINDS["PNG"][0])
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return bytes(content)


def claiming_jpeg(width, height):
    content = jpeg(COLOURS)
    real = struct.pack(">HH", 12, 16)
    assert content.count(real) == 1
    return content.replace(real, struct.pack(">HH", height, width))


NO_IMAGE = {
    "GIF": encoded(COLOURS, "GIF"),
    "BMP": encoded(COLOURS, "BMP"),
    "text": b"hello",
    "nothing": b"",
    "start of a PNG": KINDS["PNG"][0][:20],
    "truncated PNG": KINDS["PNG"][0][:-30],
    "a PNG of 10 billion pixels": claiming(100_000, 100_000),
    "a PNG of no pixels": claiming(0, 10),
    "a PNG of negative size": claiming(2**32 - 1, 2**32 - 1),
    "a JPEG of 4 billion pixels": claiming_jpeg(65_535, 65_535),
    "a JPEG of no pixels": claiming_jpeg(0, 0),
}


@pytest.mark.parametrize("kind", NO_IMAGE)
def test_anything_else_is_refused(kind):
    content = NO_IMAGE[kind]
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        decode_rgb(content)
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(tf.data.Dataset.from_tensors(content).map(decode_rgb)))


@pytest.mark.parametrize(
    ("at_least", "ratio"), [(5, 8), (6, 4), (10, 4), (20, 2), (21, 1)]
)
def test_a_large_jpeg_may_be_decoded_small(at_least, ratio):
    content, _ = KINDS["JPEG"]
    ours = decode_rgb(content, at_least=at_least)
    assert ours.shape == (-(-40 // ratio), -(-60 // ratio), 3)
    small = Image.open(io.BytesIO(content)).resize(ours.shape[1::-1], Image.BOX)
    assert np.abs(ours.numpy().astype(int) - np.asarray(small)).mean() < 4
    assert decode_rgb(KINDS["PNG"][0], at_least=at_least).shape == (40, 60, 3)


def test_mutated_images_are_read_or_refused():
    rng, outcomes = np.random.default_rng(3), Counter()
    for content, _ in KINDS.values():
        for _ in range(25):
            try:
                image = decode_rgb(mutate(content, rng))
                assert image.dtype == tf.uint8 and image.shape[-1] == 3
                outcomes["read"] += 1
            except tf.errors.InvalidArgumentError:
                outcomes["refused"] += 1
    assert outcomes["read"] > 20 and outcomes["refused"] > 20


ENDS = ("JPEG", "progressive JPEG", "CMYK JPEG", "PNG", "a fading palette")


@pytest.mark.parametrize("kind", ENDS)
def test_a_file_that_ends_early_is_refused_wherever_it_ends(kind):
    content = KINDS[kind][0]
    for end in [*range(0, len(content), 31), len(content) - 2, len(content) - 1]:
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_rgb(content[:end])


def test_resizing_gives_a_square_of_bytes():
    resized = resize_rgb(tf.constant(COLOURS), 8)
    assert resized.shape == (8, 8, 3) and resized.dtype == tf.uint8
    even = tf.fill((12, 16, 3), tf.constant(201, tf.uint8))
    assert (resize_rgb(even, 5).numpy() == 201).all()


def test_resizing_averages_what_it_leaves_out():
    stripes = np.tile(np.array([0, 255], "uint8"), (64, 32))[..., None].repeat(3, 2)
    resized = resize_rgb(tf.constant(stripes), 8).numpy().astype(int)
    assert np.abs(resized[:, 1:-1] - 127).max() <= 8


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(GREY), "a PNG, 8-bit greyscale, 16x12, "),
        (png(COLOURS), "a PNG, 8-bit RGB, 16x12, "),
        (png(GREY.astype("uint16")), "a PNG, 16-bit greyscale, 16x12, "),
        (encoded(COLOURS, "PNG", "RGBA"), "a PNG, 8-bit RGBA, 16x12, "),
        (encoded(COLOURS, "PNG", "P"), "a PNG, 8-bit palette, 16x12, "),
        (encoded(COLOURS, "PNG", "LA"), "a PNG, 8-bit grey+alpha, 16x12, "),
        (claiming(10**5, 10**5), "100000x100000, more than 100 million pixels, "),
        (png(GREY)[:25] + b"\x09", "a PNG, 8-bit unknown colour type, 16x12, "),
        (png(GREY)[:20], "20 bytes beginning with b'\\x89PNG"),
        (jpeg(COLOURS), " bytes, complete"),
        (jpeg(COLOURS)[:-2], " bytes, cut short"),
        (b"", "0 bytes beginning with b''"),
    ],
)
def test_a_file_is_described_in_words(content, words):
    description = describe_image(content)
    assert words in description and f"{len(content)} bytes" in description
