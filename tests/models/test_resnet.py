import keras
import numpy as np
import pytest

from keras_c2kd.models import resnet, resnet18, small_resnet


def test_resnet18_has_the_parameters_of_resnet18():
    # He et al.'s network with 1,000 classes: 11,689,512 trainable parameters.
    model = resnet18((64, 64, 3), 1000)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == 11_689_512


@pytest.mark.parametrize("build", [small_resnet, resnet18])
def test_stages_halve_and_can_be_tapped(build):
    model = build((64, 48, 1), 5)
    shapes = [model.get_layer(f"stage{i}").output.shape for i in (1, 2, 3)]
    assert [s[1] / shapes[0][1] for s in shapes] == [1, 0.5, 0.25]
    assert shapes[2][-1] == (64 if build is small_resnet else 256)
    assert model.output.shape == (None, 5)


def test_the_scaling_is_inside(rng):
    images = rng.uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    plain = resnet((16, 16, 3), 4, (4,), (1,))
    scaled = resnet((16, 16, 3), 4, (4,), (1,), scale=1 / 127.5, offset=-1.0)
    scaled.set_weights(plain.get_weights())
    np.testing.assert_allclose(
        scaled.predict(images, verbose=0),
        plain.predict(images / 127.5 - 1.0, verbose=0),
        rtol=1e-4,
        atol=1e-5,
    )


def test_logits_are_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = small_resnet((16, 16, 3), 4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("stage3").compute_dtype == "bfloat16"
