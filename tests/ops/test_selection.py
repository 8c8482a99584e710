import numpy as np
import pytest
from keras import ops

from keras_c2kd.ops import select_by_rank_correlation

ROWS = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [5, 5, 5]], "float32")
OTHERS = np.array([[1, 2, 3], [1, 3, 2], [3, 2, 1], [1, 2, 3]], "float32")


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.0, [True, True, False, False]),
        (1 / 3, [True, False, False, False]),  # strict: the second row's KRC is 1/3
        (-1.0, [True, True, False, False]),
        (1.0, [False, False, False, False]),
    ],
)
def test_a_sample_crosses_strictly_above_the_threshold(threshold, expected):
    krc, selected = select_by_rank_correlation(ROWS, OTHERS, threshold)
    np.testing.assert_allclose(ops.convert_to_numpy(krc), [1, 1 / 3, -1, 0], atol=1e-6)
    np.testing.assert_array_equal(ops.convert_to_numpy(selected), expected)


def test_a_constant_row_is_never_selected_even_below_zero():
    _, selected = select_by_rank_correlation(ROWS, OTHERS, -0.5)
    assert not bool(selected[3])
