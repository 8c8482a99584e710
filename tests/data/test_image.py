import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_c2kd.data import decode_rgb
from keras_c2kd.data.image import describe_image, resize_rgb
from keras_c2kd.data.sun_rgbd import locate, read_scene
from tests.data.conftest import REAL, encoded, jpeg, needs_real_scenes, png

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


NO_COLOUR_JPEG = {
    "greyscale JPEG": jpeg(GREY),
    "PNG": png(COLOURS),
    "GIF": encoded(COLOURS, "GIF"),
    "BMP": encoded(COLOURS, "BMP"),
    "text": b"hello",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", NO_COLOUR_JPEG)
def test_anything_but_a_colour_jpeg_is_refused(kind):
    content = NO_COLOUR_JPEG[kind]
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        decode_rgb(content)
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(tf.data.Dataset.from_tensors(content).map(decode_rgb)))


def test_a_jpeg_that_ends_early_is_refused_wherever_it_ends():
    content = jpeg(COLOURS)
    for end in range(0, len(content), 7):
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode_rgb(content[:end])
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_rgb(content[:-1])


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
