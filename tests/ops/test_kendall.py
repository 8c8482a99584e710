import keras
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from keras_c2kd.ops import kendall_rank_correlation, pairs
from keras_c2kd.ops.pairs import count_pairs


def scipy_tau(x, y, variant="b"):
    if variant == "b":
        rows = [
            scipy.stats.kendalltau(a, b).statistic for a, b in zip(x, y, strict=True)
        ]
        return np.nan_to_num(np.array(rows))
    signs = [np.sign(z[:, :, None] - z[:, None, :]) for z in (x, y)]
    classes = x.shape[-1]
    tau_a = (signs[0] * signs[1]).sum((1, 2)) / (classes * (classes - 1))
    constant = (np.ptp(x, axis=1) == 0) | (np.ptp(y, axis=1) == 0)
    return np.where(constant, 0.0, tau_a)


def ours(x, y, variant="b"):
    return ops.convert_to_numpy(kendall_rank_correlation(x, y, variant))


@pytest.mark.parametrize("variant", ["a", "b"])
@pytest.mark.parametrize("classes", [2, 3, 6, 28, 64, 65, 309, 2049])
@pytest.mark.parametrize("ties", [False, True])
def test_agrees_with_scipy(rng, classes, ties, variant):
    x, y = rng.normal(size=(2, 12, classes)).astype("float32")
    if ties:
        x, y = np.round(x), np.round(y)
    y[:6] += x[:6]
    np.testing.assert_allclose(ours(x, y, variant), scipy_tau(x, y, variant), atol=1e-6)


@pytest.mark.parametrize("classes", [2, 31, 32, 33, 65, 200])
@pytest.mark.parametrize("ties", [False, True])
def test_both_ways_of_counting_agree(rng, classes, ties):
    x, y = rng.normal(size=(2, 12, classes)).astype("float32")
    if ties:
        x, y = np.round(x), np.round(y) * rng.choice([-1, 1], y.shape)  # some of -0.0
    rows = [ops.convert_to_tensor(z.astype("float32")) for z in (x, y)]
    for one, other in zip(
        pairs._count_in_turn(*rows), pairs._count_by_sorting(*rows), strict=True
    ):
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (one, other)))


@given(
    arrays("float32", (5, 7), elements=st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0])),
    arrays("float32", (5, 7), elements=st.sampled_from([-2.0, -1.0, 0.0, 1.0, 3.0])),
)
def test_properties(x, y):
    tau = ours(x, y)
    np.testing.assert_allclose(tau, scipy_tau(x, y), atol=1e-6)
    np.testing.assert_array_equal(tau, ours(y, x))
    np.testing.assert_allclose(tau, -ours(-x, y), atol=1e-7)
    np.testing.assert_array_equal(tau, ours(2 * x + 1, y**3))
    order = np.random.default_rng(0).permutation(7)
    np.testing.assert_array_equal(tau, ours(x[:, order], y[:, order]))


def test_perfect_agreement_is_exactly_one(rng):
    x = np.round(rng.normal(size=(50, 37)) * 4).astype("float32")
    assert (ours(x, x) == 1.0).all() and (ours(x, -x) == -1.0).all()


@pytest.mark.parametrize("variant", ["a", "b"])
def test_rows_without_a_ranking_give_zero(variant):
    x = np.array([[1, 1, 1], [1, 2, np.nan], [1, 2, 3]], "float32")
    y = np.array([[1, 2, 3], [1, 2, 3], [-np.inf, 0, np.inf]], "float32")
    np.testing.assert_array_equal(ours(x, y, variant), [0.0, 0.0, 1.0])


def test_infinite_logits_rank_like_any_other_beyond_one_block():
    x = np.arange(50, dtype="float32")
    x[-1] = np.inf
    np.testing.assert_array_equal(ours(x[None], x[None]), [1.0])


@pytest.mark.parametrize("grid", [(3, 4), (16, 17), (300,), (4, 4, 17)])
@pytest.mark.parametrize("classes", [5, 40, 70])
def test_leading_axes_are_free(rng, classes, grid, monkeypatch):
    # Blocks that do not divide the grids of pixels; a size that is traced only here.
    monkeypatch.setattr(pairs, "_ROWS", 83)
    x, y = np.round(4 * rng.normal(size=(2, 2, *grid, classes))).astype("float32")
    x[0, 0], y[1, -1] = 1.0, 0.0
    flat = scipy_tau(x.reshape(-1, classes), y.reshape(-1, classes))
    np.testing.assert_allclose(ours(x, y), flat.reshape(2, *grid), atol=1e-6)


@pytest.mark.parametrize("classes", [5, 40])
def test_one_row_needs_no_leading_axis(rng, classes):
    x, y = rng.normal(size=(2, 1, 1, 1, classes)).astype("float32")
    flat = scipy_tau(x.reshape(-1, classes), y.reshape(-1, classes))
    np.testing.assert_allclose(ours(x[0, 0, 0], y[0, 0, 0]), flat[0], atol=1e-6)


def test_counts_are_exact_where_float32_is_not():
    # 6,000 classes have 17,997,000 pairs, more than float32 counts exactly.
    x = np.arange(6000, dtype="float32")[None]
    y = x.copy()
    y[0, :2] = y[0, 1::-1]
    difference, untied_x, untied_y = (
        int(n[0])
        for n in count_pairs(ops.convert_to_tensor(x), ops.convert_to_tensor(y))
    )
    assert (difference, untied_x, untied_y) == (17_996_998, 17_997_000, 17_997_000)


def test_pixels_are_counted_exactly_where_differences_are_not():
    # Differences of these overflow or underflow, and their order stays what it is.
    tiny, large = np.float32(1.2e-38), np.float32(3e38)
    above = np.nextafter(tiny, large)
    row = np.array([-np.inf, -large, 0.0, tiny, above, large, np.inf], "float32")
    x = np.broadcast_to(row, (1, 300, 7)).copy()
    counts = [ops.convert_to_numpy(n) for n in count_pairs(*map(ops.array, (x, x)))]
    assert all((n == 21).all() for n in counts)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_are_computed_in_float32(rng, dtype):
    x, y = rng.normal(size=(2, 4, 6)).astype("float32")
    x, y = (ops.cast(z, dtype) for z in (x, y))
    tau = kendall_rank_correlation(x, y)
    assert keras.backend.standardize_dtype(tau.dtype) == "float32"
    as_read = [ops.convert_to_numpy(ops.cast(z, "float32")) for z in (x, y)]
    np.testing.assert_allclose(
        ops.convert_to_numpy(tau), scipy_tau(*as_read), atol=1e-6
    )


def test_no_gradient_flows(rng):
    from tests.helpers import gradients

    x, y = rng.normal(size=(2, 4, 6)).astype("float32")
    grads = gradients(
        lambda a, b: ops.sum(kendall_rank_correlation(a, b)) + 0.0 * ops.sum(a), [x, y]
    )
    assert not np.any(grads[0]) and not np.any(grads[1])


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="looks at TF graphs")
@pytest.mark.parametrize(
    ("shape", "most"),
    [
        ((16, 400), 16 * 416),
        # Two comparisons in 32 x 32, and one of 32 with the number of blocks.
        ((16, 2500), 16 * 2528 * 2),
        ((None, 480, 640, 40), 4096 * 40),
    ],
)
def test_memory_does_not_grow_beyond_the_logits(shape, most):
    import tensorflow as tf

    spec = tf.TensorSpec(shape, tf.float32)
    traced = tf.function(kendall_rank_correlation).get_concrete_function(spec, spec)
    graphs = [f.graph for f in traced.graph._functions.values()]
    largest = max(
        tensor.shape.num_elements() or 0
        for graph in graphs
        for operation in graph.get_operations()
        for tensor in operation.outputs
        if tensor.shape.rank is not None
    )
    assert 0 < largest <= most


@pytest.mark.parametrize(
    ("x", "y", "variant", "words"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "b", "same shape"),
        (np.zeros((2, 3)), np.zeros((2, 3)), "c", "variant='c'"),
        (1.0, 2.0, "b", "same shape"),
        (np.zeros((1, 65537)), np.zeros((1, 65537)), "b", "at most 65536 classes"),
    ],
)
def test_bad_input_is_refused(x, y, variant, words):
    with pytest.raises(ValueError, match=words):
        kendall_rank_correlation(x, y, variant)
