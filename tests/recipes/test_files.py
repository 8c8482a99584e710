import random

import keras
import numpy as np
import pytest
from files import read_model

from tests.helpers import dense_net

LOADS = 200


@pytest.mark.slow
def test_a_damaged_model_is_an_error_or_has_the_same_weights(tmp_path):
    model = dense_net(6)
    file = tmp_path / "student.keras"
    model.save(file)
    whole, draw = file.read_bytes(), random.Random(0)
    errors = 0
    for i in range(LOADS):
        damaged = bytearray(whole)
        if i % 4 == 0:
            damaged = damaged[: draw.randrange(len(whole))]
        else:
            for _ in range(draw.choice([1, 1, 3, 30])):
                damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            loaded = read_model(file)
        except ValueError as error:
            assert "whole model file" in str(error) and str(file) in str(error)
            errors += 1
            continue
        for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        assert loaded.get_config()["layers"] == model.get_config()["layers"]
    assert errors > LOADS // 2


def test_a_whole_model_is_read(tmp_path):
    model = dense_net(6)
    model.save(tmp_path / "student.keras")
    assert isinstance(read_model(tmp_path / "student.keras"), keras.Model)
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "none.keras")
