import numpy as np
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import ops

from keras_c2kd.ops import kl_divergence, non_target_kl_divergence
from tests.helpers import gradients

logits = arrays("float32", (4, 5), elements=st.floats(-30, 30, width=32))


def entropy(a, b):
    """SciPy's KL divergence of two rows of logits."""
    a, b = np.float64(a), np.float64(b)
    return scipy.stats.entropy(
        scipy.special.softmax(a, -1), scipy.special.softmax(b, -1), axis=-1
    )


@given(logits, logits, st.sampled_from([0.5, 1.0, 4.0]))
def test_agrees_with_scipy(a, b, temperature):
    ours = ops.convert_to_numpy(kl_divergence(a, b, temperature))
    reference = temperature**2 * entropy(a / temperature, b / temperature)
    np.testing.assert_allclose(ours, reference, rtol=1e-4, atol=1e-4)
    assert (ours >= -1e-4).all()


@given(logits, logits, arrays("int32", 4, elements=st.integers(0, 4)))
def test_renormalized_is_scipys_over_the_other_classes(a, b, labels):
    ours = ops.convert_to_numpy(non_target_kl_divergence(a, b, labels, 2.0))
    others = np.arange(5) != labels[:, None]
    a, b = (z[others].reshape(4, 4) / 2.0 for z in (a, b))
    np.testing.assert_allclose(ours, 4.0 * entropy(a, b), rtol=1e-4, atol=1e-4)


@given(logits, logits, arrays("int32", 4, elements=st.integers(0, 4)))
def test_zero_logit_keeps_the_target_at_exp_0(a, b, labels):
    ours = ops.convert_to_numpy(
        non_target_kl_divergence(a, b, labels, non_target="zero_logit")
    )
    keep = np.arange(5) != labels[:, None]
    np.testing.assert_allclose(ours, entropy(a * keep, b * keep), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("non_target", ["renormalized", "zero_logit"])
def test_only_the_learner_gets_a_gradient_and_none_at_the_target(rng, non_target):
    a, b = rng.normal(size=(2, 4, 5)).astype("float32")
    labels = np.array([0, 1, 2, 3])
    teaching, learning = gradients(
        lambda x, z: ops.sum(
            non_target_kl_divergence(x, z, labels, non_target=non_target)
        ),
        [a, b],
    )
    assert not teaching.any()
    assert not learning[np.arange(4), labels].any() and learning.any()


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("non_target", ["renormalized", "zero_logit"])
def test_extreme_logits_stay_finite(size, non_target):
    a = np.array([[size, -size, 0.0]], "float32")
    b = np.array([[-1.0, 1.0, 0.0]], "float32")

    def loss(x, z):
        return ops.sum(non_target_kl_divergence(x, z, [2], non_target=non_target))

    assert np.isfinite(ops.convert_to_numpy(loss(a, b)))
    assert all(np.isfinite(g).all() for g in gradients(loss, [a, b]))


def test_two_classes_have_one_other_class_and_nothing_to_say():
    a, b = np.array([[3.0, 1.0]], "float32"), np.array([[0.0, 9.0]], "float32")
    assert float(non_target_kl_divergence(a, b, [0])[0]) == 0.0


def test_unknown_reading_is_refused():
    with pytest.raises(ValueError, match="Received: non_target='both'"):
        non_target_kl_divergence([[1.0, 2.0]], [[1.0, 2.0]], [0], non_target="both")
