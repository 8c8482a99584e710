"""Low and high frequencies of feature vectors, and how FD-CMKD compares them."""

from typing import Any

from keras import ops

# Below this share of a vector's length, what is left of it is rounding.
_ROUNDING = 1e-5


def split_frequencies(x: Any) -> tuple[Any, Any]:
    """The slow and the fast half of a vector's Fourier series.

    Slow changes along a feature vector were found alike in different modalities, fast
    ones not; so they are distilled differently.

        X_k = sum_d x_d exp(-2 pi i k d / D)
        low = inverse DFT of the X_k with |frequency| <= 1/4,   high = x - low

    The frequency of `X_k` is `k / D` cycles per feature, `(k - D) / D` past the middle,
    so that 1/4 is half of the highest there is. The mean (k = 0) is part of `low`.

    Args:
        x: Shape `(..., D)`.

    Returns:
        `low` and `high`, float32, shape `(..., D)`; their sum is `x`.

    Example:

    >>> from keras_c2kd.ops import split_frequencies
    >>> low, high = split_frequencies([[3.0, 1.0, 3.0, 1.0]])
    >>> [round(float(value), 4) for value in low[0]]
    [2.0, 2.0, 2.0, 2.0]

    Reference:
        J. Liu et al., "Distilling Cross-Modal Knowledge via Feature Disentanglement",
        AAAI 2026, arXiv 2511.19887: the lower and the upper half. Which bins these are
        follows the released script (a public copy, zxn0710/re-FD-CMKD-main on GitHub),
        which for D = 512 has |k| up to 128 as low; it leaves the mean out of both.
    """
    x = ops.cast(x, "float32")
    width = x.shape[-1]
    real, imaginary = ops.rfft(x)
    slow = ops.cast(ops.arange(width // 2 + 1) <= width // 4, "float32")
    low = ops.irfft((real * slow, imaginary * slow), fft_length=width)
    return low, x - low


def standardize(x: Any) -> Any:
    """A vector without its mean, scaled to length 1.

    The features of two modalities differ in mean and scale, which is no knowledge.

        Std(x) = (x - mean(x)) / ||x - mean(x)||_2

    Args:
        x: Shape `(..., D)`.

    Returns:
        float32, shape `(..., D)`. A constant vector has no direction: 0, with no
        gradient.

    Example:

    >>> from keras_c2kd.ops import standardize
    >>> [round(float(value), 4) for value in standardize([4.0, 1.0, 1.0, 4.0])]
    [0.5, -0.5, -0.5, 0.5]

    Reference:
        J. Liu et al., AAAI 2026, arXiv 2511.19887.
    """
    x = ops.cast(x, "float32")
    centred = x - ops.mean(x, axis=-1, keepdims=True)
    square = ops.sum(ops.square(centred), axis=-1, keepdims=True)
    scale = ops.sum(ops.square(x), axis=-1, keepdims=True)
    varies = square > _ROUNDING**2 * ops.stop_gradient(scale)
    # Two `where`s: the gradient of a root at 0 is not finite, also where not chosen.
    length = ops.sqrt(ops.where(varies, square, 1.0))
    return ops.where(varies, centred / length, 0.0)


def signed_log(x: Any) -> Any:
    """Large values made smaller, so that a large difference pulls less.

        g(x) = sign(x) log(1 + |x|)

    Args:
        x: Any shape.

    Returns:
        The same shape.

    Example:

    >>> from keras_c2kd.ops import signed_log
    >>> round(float(signed_log(-1.0)), 4)
    -0.6931

    Reference:
        J. Liu et al., AAAI 2026, arXiv 2511.19887, the "logMSE" of high frequencies.
    """
    x = ops.convert_to_tensor(x)
    return ops.sign(x) * ops.log1p(ops.abs(x))
