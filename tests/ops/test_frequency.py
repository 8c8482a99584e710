import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from keras import ops

from keras_c2kd.ops import signed_log, split_frequencies, standardize
from tests.helpers import gradients

vectors = arrays(
    "float32",
    array_shapes(min_dims=1, max_dims=3, max_side=9),
    elements=st.floats(-8, 8, width=16),
)


def numpy(*tensors):
    return [ops.convert_to_numpy(tensor) for tensor in tensors]


def low_pass(x):
    """By the whole complex transform, where our halves come from the real one."""
    slow = np.abs(np.fft.fftfreq(x.shape[-1])) <= 0.25
    return np.fft.ifft(np.fft.fft(np.float64(x)) * slow).real


@settings(max_examples=15)  # each shape compiles
@given(vectors)
def test_halves_are_those_of_numpys_transform(x):
    low, high = numpy(*split_frequencies(x))
    np.testing.assert_allclose(low, low_pass(x), atol=1e-5)
    np.testing.assert_allclose(low + high, x, atol=1e-5)


@pytest.mark.parametrize("width", [1, 2, 3, 7, 64, 512])
def test_a_wave_is_in_the_half_of_its_frequency(width):
    d = np.arange(width)
    for k in range(width // 2 + 1):
        wave = np.cos(2 * np.pi * k * d / width).astype("float32")[None]
        low, high = numpy(*split_frequencies(wave))
        slow, nothing = (low, high) if k / width <= 0.25 else (high, low)
        np.testing.assert_allclose(slow, wave, atol=1e-5)
        np.testing.assert_allclose(nothing, 0.0, atol=1e-5)


@pytest.mark.parametrize("width", [6, 7])
def test_gradient_of_the_low_half_is_its_low_half(rng, width):
    x, direction = rng.normal(size=(2, 3, width)).astype("float32")
    (gradient,) = gradients(
        lambda z: ops.sum(ops.multiply(split_frequencies(z)[0], direction)), [x]
    )
    np.testing.assert_allclose(gradient, low_pass(direction), atol=1e-5)


def test_standardize_is_numpys(rng):
    x = rng.normal(3.0, 5.0, size=(4, 9)).astype("float32")
    centred = x - x.mean(-1, keepdims=True)
    expected = centred / np.linalg.norm(centred, axis=-1, keepdims=True)
    np.testing.assert_allclose(numpy(standardize(x))[0], expected, atol=1e-6)


@pytest.mark.parametrize("value", [0.0, 100.1, -3e4])
def test_a_constant_vector_is_0_with_no_gradient(value):
    x = np.full((2, 7), value, "float32")
    np.testing.assert_array_equal(numpy(standardize(x))[0], 0.0)
    (gradient,) = gradients(lambda z: ops.sum(standardize(z)[:, 0]), [x])
    np.testing.assert_array_equal(gradient, 0.0)


def test_gradient_of_standardize_is_that_of_differences(rng):
    x, direction = rng.normal(size=(2, 5)).astype("float32")

    def value(z):
        centred = z - z.mean()
        return (centred / np.linalg.norm(centred)) @ direction

    step = 1e-5 * np.eye(5)
    expected = [(value(x + e) - value(x - e)) / 2e-5 for e in step]
    (ours,) = gradients(lambda z: ops.sum(ops.multiply(standardize(z), direction)), [x])
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_signed_log_is_numpys(rng):
    x = np.append(rng.normal(size=20) * 100, 0.0).astype("float32")
    expected = np.sign(x) * np.log(1 + np.abs(x))
    np.testing.assert_allclose(numpy(signed_log(x))[0], expected, rtol=1e-6)


def test_half_precision_is_computed_in_float32():
    x = ops.cast([[1.0, 2.0, 4.0, 8.0]], "bfloat16")
    for tensor in (*split_frequencies(x), standardize(x)):
        assert "float32" in str(tensor.dtype)
