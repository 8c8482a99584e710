import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_c2kd.data import decode_sun_depth, encode_sun_depth
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


NO_DEPTH = {
    "8-bit PNG": png(np.full((4, 4), 7, "uint8")),
    "colour PNG": png(np.full((4, 4, 3), 7, "uint8")),
    "16-bit grey and alpha": tf.io.encode_png(np.ones((4, 4, 2), "uint16")).numpy(),
    "16-bit colour": tf.io.encode_png(np.ones((4, 4, 3), "uint16")).numpy(),
    "JPEG": jpeg(np.full((4, 4), 7, "uint8")),
    "start of a PNG": png(ALL)[:20],
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
