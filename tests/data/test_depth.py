import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from keras_c2kd.data import decode_sun_depth, encode_sun_depth
from keras_c2kd.data.depth import resize_depth
from tests.data.conftest import png

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


def test_the_png_is_one_that_pillow_reads():
    image = Image.open(io.BytesIO(encode_sun_depth(ALL)))
    assert image.size == (256, 256) and image.mode.startswith("I")


def test_it_runs_inside_a_dataset():
    dataset = tf.data.Dataset.from_tensors(encode_sun_depth(ALL)).map(decode_sun_depth)
    assert next(iter(dataset)).shape == (256, 256, 1)


def test_an_8_bit_image_is_refused_eagerly_and_in_a_graph():
    eight = png(np.full((4, 4), 7, "uint8"))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_sun_depth(eight)
    with pytest.raises(tf.errors.InvalidArgumentError):
        next(iter(tf.data.Dataset.from_tensors(eight).map(decode_sun_depth)))


def test_resizing_never_invents_a_distance():
    depth = np.random.default_rng(0).choice([0, 1000, 3000], (37, 53, 1))
    resized = resize_depth(tf.constant(depth, tf.uint16), 16).numpy()
    assert resized.shape == (16, 16, 1) and set(np.unique(resized)) <= {0, 1000, 3000}
