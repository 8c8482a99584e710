import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd import C2KD, OFSD
from keras_c2kd.models import resnet, resnet18, segmenter, small_resnet


@pytest.mark.parametrize("size", [(64, 48), (60, 80), (37, 53), (8, 8)])
@pytest.mark.parametrize("encoder", [small_resnet, resnet18])
def test_every_pixel_of_any_size_has_logits(encoder, size):
    model = segmenter((*size, 3), 7, encoder)
    assert model.output.shape == (None, *size, 7)
    stages = [model.get_layer(f"stage{i}").output.shape for i in (1, 2, 3)]
    assert model.get_layer("coarse_logits").output.shape == (*stages[0][:3], 7)
    images = np.zeros((2, *size, 3), "float32")
    assert model.predict(images, verbose=0).shape == (2, *size, 7)


def test_the_encoder_is_that_of_the_classifier_without_its_head():
    classifier, model = resnet18((64, 64, 3), 5), segmenter((64, 64, 3), 5, resnet18)
    ours = {layer.name.split("_")[0] for layer in model.layers}
    assert not {"global", "dense"} & ours and "stage4" in ours
    theirs = [w.shape for w in classifier.weights][:-2]  # without the classifier
    assert [w.shape for w in model.weights][: len(theirs)] == theirs


def test_the_decoder_costs_little():
    decoder = segmenter((64, 64, 3), 40, resnet18).count_params()
    decoder -= resnet18((64, 64, 3), 40).count_params()
    assert decoder < 120_000


def test_options_reach_the_encoder(rng):
    images = rng.uniform(0, 255, (2, 16, 16, 3)).astype("float32")
    plain = segmenter((16, 16, 3), 4, name="student")
    scaled = segmenter((16, 16, 3), 4, scale=1 / 127.5, offset=-1.0)
    scaled.set_weights(plain.get_weights())
    np.testing.assert_allclose(
        scaled.predict(images, verbose=0),
        plain.predict(images / 127.5 - 1.0, verbose=0),
        rtol=1e-4,
        atol=1e-4,
    )
    assert plain.name == "student"


def test_logits_move_with_the_pixels(rng):
    """What is shifted by a whole stride comes out shifted, away from the border."""
    image = np.zeros((1, 64, 64, 3), "float32")
    image[:, 24:32, 24:32] = rng.normal(size=(8, 8, 3))
    model = segmenter((64, 64, 3), 4)
    one, two = (
        model.predict(x, verbose=0)
        for x in (image, np.roll(image, (8, 16), axis=(1, 2)))
    )
    change = np.abs(one - model.predict(0 * image, verbose=0))[0].sum(-1)
    row, column = np.unravel_index(change.argmax(), change.shape)
    assert 16 <= row < 40 and 16 <= column < 40
    np.testing.assert_allclose(
        np.roll(one, (8, 16), axis=(1, 2))[:, 32:40, 40:48],
        two[:, 32:40, 40:48],
        atol=1e-3,
    )


def test_logits_are_float32_under_a_mixed_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = segmenter((16, 16, 3), 4)
    finally:
        keras.config.set_dtype_policy("float32")
    assert model.output.dtype == "float32"
    assert model.get_layer("coarse_logits").output.dtype == "float32"
    assert model.get_layer("decoder_conv").compute_dtype == "bfloat16"


def test_an_encoder_without_stages_is_refused():
    def one_stage(shape, classes):
        return resnet(shape, classes, (4,), (1,), name="short")

    with pytest.raises(ValueError, match=r"Received: 'short' with.*\['stage1'\]"):
        segmenter((16, 16, 3), 4, one_stage)


def scenes(rng, count=16, size=(16, 24)):
    """Colour and depth of two halves; what is where is drawn for each image."""
    labels = np.zeros((count, *size), "int32")
    for image in labels:
        image[:, rng.integers(6, 18) :] = 1
        image[rng.integers(8, 14) :] = 2
    rgb = np.eye(3)[labels] + 0.3 * rng.normal(size=(*labels.shape, 3))
    depth = labels[..., None] + 0.3 * rng.normal(size=(*labels.shape, 1))
    labels[:, :2] = 255
    data = {"rgb": rgb.astype("float32"), "depth": depth.astype("float32")}
    return data, labels


@pytest.mark.slow
def test_it_learns_with_c2kd_and_the_student_loads_with_keras_alone(rng, tmp_path):
    data, labels = scenes(rng)
    size = labels.shape[1:]

    def tiny(shape, classes):
        return resnet(shape, classes, (8, 8, 16), (1, 1, 1))

    model = C2KD(
        segmenter((*size, 1), 3, tiny, width=16, name="teacher"),
        segmenter((*size, 3), 3, tiny, width=16, name="student"),
        teacher_modality="depth",
        student_modality="rgb",
        teacher_features="stage3",
        student_features="stage3",
        ofsd=OFSD(select="sample"),
    )
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, ignore_class=255
    )
    metric = keras.metrics.MeanIoU(3, name="iou", ignore_class=255, sparse_y_pred=False)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss, metrics=[metric])
    logs = model.fit(data, labels, batch_size=8, epochs=10, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0] and logs["iou"][-1] > 0.6
    assert 0.0 < max(logs["selected"]) <= 1.0
    model.student.save(tmp_path / "student.keras")
    np.save(tmp_path / "rgb.npy", data["rgb"][:2])
    code = """
import sys
import keras, numpy as np
model = keras.models.load_model(sys.argv[1] + "/student.keras")
logits = model.predict(np.load(sys.argv[1] + "/rgb.npy"), verbose=0)
assert "keras_c2kd" not in sys.modules and "keras_hub" not in sys.modules
np.save(sys.argv[1] + "/logits.npy", logits)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(
        np.load(tmp_path / "logits.npy"),
        model.predict(data["rgb"][:2], verbose=0),
        atol=1e-4,
    )
