"""One program for a function, on the backends that have such a thing."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras import ops

from keras_c2kd.backend import COMPILES, compiled, sort
from keras_c2kd.ops import kendall_rank_correlation


def test_a_compiled_function_is_traced_once_for_all_batches(rng):
    traces = []

    def double(x):
        traces.append(x)
        return 2.0 * x

    program = compiled(double)
    for size in (3, 5, 3):
        x = rng.normal(size=(size, 4)).astype("float32")
        doubled = ops.convert_to_numpy(program(ops.convert_to_tensor(x)))
        np.testing.assert_array_equal(doubled, 2 * x)
    # JAX traces for each shape.
    calls = {"tensorflow": 1, "jax": 2, "torch": 3}[keras.config.backend()]
    assert len(traces) == calls and COMPILES == (calls < 3)


@pytest.mark.parametrize("classes", [5, 100, 2000])
def test_symbolic_tensors_pass_through(rng, classes):
    x, y = keras.Input((classes,)), keras.Input((classes,))
    krc = kendall_rank_correlation(x, y)
    assert isinstance(krc, keras.KerasTensor) and krc.shape == (None,)
    logits = rng.normal(size=(3, classes)).astype("float32")
    model = keras.Model([x, y], krc)
    np.testing.assert_allclose(model.predict([logits, logits], verbose=0), 1.0)


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="of TensorFlow")
@pytest.mark.parametrize("classes", [5, 100, 2000])
def test_functions_that_are_run_eagerly(rng, classes):
    import tensorflow as tf

    logits = rng.normal(size=(3, classes)).astype("float32")
    tf.config.run_functions_eagerly(True)
    try:
        krc = kendall_rank_correlation(logits, -logits)
    finally:
        tf.config.run_functions_eagerly(False)
    np.testing.assert_array_equal(krc, [-1.0, -1.0, -1.0])


@given(
    hnp.arrays(
        "int32",
        (2, 3, 20),
        elements=st.sampled_from([-(2**31), -1, 0, 1, 2, 2**31 - 1])
        | st.integers(-(2**31), 2**31 - 1),
    )
)
@settings(max_examples=25, deadline=None)
def test_sort_orders_pairs_of_any_integers(integers):
    ours = compiled(lambda z: ops.stack(sort(z[0], z[1])))(
        ops.convert_to_tensor(integers)
    )
    order = np.lexsort((integers[1], integers[0]))
    expected = np.take_along_axis(integers, order[None], axis=-1)
    np.testing.assert_array_equal(ops.convert_to_numpy(ours), expected)
