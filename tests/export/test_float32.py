"""Students of a mixed policy, in float32."""

import keras
import numpy as np
import pytest

from keras_c2kd.export import in_float32
from keras_c2kd.export.float32 import lower_precision
from keras_c2kd.models import over_frames, small_resnet


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def mixed(request):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy(before)


def test_a_mixed_student_computes_in_float32(mixed, rng):
    student = small_resnet((16, 16, 3), 5)
    copy = in_float32(student)
    assert lower_precision(student) and not lower_precision(copy)
    x = rng.uniform(size=(4, 16, 16, 3)).astype("float32")
    ours, theirs = (np.asarray(m.predict_on_batch(x)) for m in (copy, student))
    assert 0 < np.abs(ours - theirs).max() < 0.1
    for a, b in zip(copy.get_weights(), student.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_clips_too(mixed):
    student = over_frames(small_resnet((16, 16, 3), 5), frames=2)
    assert not lower_precision(in_float32(student))


def test_a_subclassed_model_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(ValueError, match="Received: Own"):
        in_float32(Own())
