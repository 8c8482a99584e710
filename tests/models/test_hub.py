"""ResNets and text encoders of keras-hub, and backbones of keras-cv."""

import math
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd import C2KD
from keras_c2kd.models import over_frames, resnet18, segmenter

keras_hub = pytest.importorskip("keras_hub", reason="keras-hub is not installed")

from keras_c2kd.models.hub import hub_resnet, preset_scaling  # noqa: E402
from keras_c2kd.models.text import text_encoder  # noqa: E402

TINY = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [3],
    "stackwise_num_filters": [64, 4, 4, 4],
    "stackwise_num_blocks": [2, 2, 2, 2],
    "stackwise_num_strides": [1, 2, 2, 2],
    "block_type": "basic_block",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "published", "width"),
    # torchvision's counts without the last layer.
    [(18, 11_176_512, 256), (34, 21_284_672, 256), (50, 23_508_032, 1024)],
)
def test_the_published_sizes_and_the_taps(depth, published, width):
    model = hub_resnet(depth, (64, 64, 3), num_classes=5, name="student")
    counts = [math.prod(w.shape) for w in model.trainable_weights]
    assert sum(counts) - model.get_layer("logits").count_params() == published
    sides = [model.get_layer(f"stage{i}").output.shape[1] for i in (1, 2, 3, 4)]
    assert sides == [16, 8, 4, 2] and model.output.shape == (None, 5)
    assert model.get_layer("stage3").output.shape[-1] == width
    # Flat, so that a tap is a layer's name and a saved student needs Keras alone.
    assert not any(isinstance(layer, keras.Model) for layer in model.layers)
    assert all(type(layer).__module__.startswith("keras.") for layer in model.layers)
    if depth == 18:
        assert model.count_params() == resnet18((64, 64, 3), 5).count_params()


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A tiny ResNet in a folder, as keras-hub saves one."""
    folder = tmp_path_factory.mktemp("presets") / "resnet"
    backbone = keras_hub.models.ResNetBackbone(**TINY, image_shape=(None, None, 3))
    backbone.save_to_preset(folder)
    return str(folder), backbone


def test_a_preset_brings_its_weights(preset, rng):
    folder, backbone = preset
    model = hub_resnet(18, (16, 16, 3), 5, scale=0.5, offset=-1.0, preset=folder)
    images = rng.normal(size=(2, 16, 16, 3)).astype("float32")
    features = keras.Model(model.input, model.get_layer("stage4").output)
    ours, theirs = features.predict(images, verbose=0), backbone(0.5 * images - 1.0)
    theirs = keras.ops.convert_to_numpy(theirs)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"scale": [0.02, 0.03, 0.04], "offset": [-2.0, -1.5, -1.0]},
            ([0.02, 0.03, 0.04], [-2.0, -1.5, -1.0]),
        ),
        ({"scale": 0.01, "offset": -1.0}, (0.01, -1.0)),
        ({}, (1.0, 0.0)),
    ],
)
def test_a_preset_knows_the_scale_of_its_images(given, expected, preset, tmp_path, rng):
    assert preset_scaling(preset[0]) is None
    folder = shutil.copytree(preset[0], tmp_path / "preset")
    converter = keras_hub.layers.ResNetImageConverter(**given)
    converter.save_to_preset(folder)
    scale, offset = preset_scaling(str(folder))
    assert (scale, offset) == expected
    images = rng.uniform(0, 255, (2, 4, 4, 3)).astype("float32")
    ours = keras.layers.Rescaling(scale, offset)(images)
    ours, theirs = map(keras.ops.convert_to_numpy, (ours, converter(images)))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_one_channel_sees_what_a_grey_image_shows(preset, rng):
    folder, _ = preset
    grey = rng.normal(size=(2, 16, 16, 1)).astype("float32")
    outputs = []
    for images in (grey, grey.repeat(3, axis=-1)):
        model = hub_resnet(18, images.shape[1:], 5, preset=folder)
        features = keras.Model(model.input, model.get_layer("stage4").output)
        outputs.append(features.predict(images, verbose=0))
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)


def test_other_channels_other_depths_and_other_presets_are_refused(preset, tmp_path):
    with pytest.raises(ValueError, match="one channel.*Received: input_shape"):
        hub_resnet(18, (16, 16, 4), 5, preset=preset[0])
    with pytest.raises(ValueError, match="Received: depth=20"):
        hub_resnet(20, (16, 16, 3), 5)
    with pytest.raises(ValueError, match="a ResNet-50.*basic_block"):
        hub_resnet(50, (16, 16, 3), 5, preset=preset[0])
    vgg = keras_hub.models.VGGBackbone([1], [4], image_shape=(16, 16, 3))
    vgg.save_to_preset(tmp_path / "vgg")
    with pytest.raises(ValueError, match="a ResNet.*VGG"):
        hub_resnet(18, (16, 16, 3), 5, preset=str(tmp_path / "vgg"))


def test_it_goes_where_the_small_one_goes(preset):
    def encoder(shape, classes, **options):
        return hub_resnet(18, shape, classes, preset=preset[0], **options)

    per_pixel = segmenter((16, 16, 3), 4, encoder)
    assert per_pixel.output.shape == (None, 16, 16, 4)
    clips = over_frames(encoder((16, 16, 3), 4), frames=2, taps=("stage4",))
    assert clips.output.shape == (None, 4)


def test_a_saved_one_loads_where_keras_hub_is_not(preset, tmp_path):
    model = hub_resnet(18, (16, 16, 3), 5, preset=preset[0])
    model.save(tmp_path / "student.keras")
    images = np.ones((1, 16, 16, 3), "float32")
    program = (
        "import sys, keras, numpy as np; sys.modules['keras_hub'] = None;"
        f"model = keras.models.load_model({str(tmp_path / 'student.keras')!r});"
        "print(model.predict(np.ones((1, 16, 16, 3)), verbose=0).sum())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    expected = model.predict(images, verbose=0).sum()
    assert float(done.stdout.split()[-1]) == pytest.approx(expected, rel=1e-4)


def test_text_teaches_images_and_padding_has_no_say(preset, tmp_path, rng):
    teacher = text_encoder(6, 3, 20, width=8, depth=1, name="teacher")
    ids = rng.integers(1, 20, (8, 6)).astype("int32")
    ids[:, 4:] = 0
    layer = teacher.get_layer("features")
    features = keras.Model(teacher.input, layer.output)
    embedding = teacher.layers[1].token_embedding
    before = features.predict(ids, verbose=0)
    table = np.array(embedding.embeddings)
    table[0] += 5.0  # what stands for padding
    embedding.embeddings.assign(table)
    np.testing.assert_allclose(features.predict(ids, verbose=0), before, atol=1e-5)
    model = C2KD(
        teacher,
        hub_resnet(18, (16, 16, 3), 3, preset=preset[0], name="student"),
        teacher_modality="text",
        student_modality="image",
        teacher_features="features",
        student_features="stage4",
    )
    model.compile("sgd", metrics=["accuracy"])
    data = {"text": ids, "image": rng.normal(size=(8, 16, 16, 3)).astype("float32")}
    history = model.fit(data, np.arange(8) % 3, batch_size=4, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    teacher.save(tmp_path / "teacher.keras")
    loaded = keras.models.load_model(tmp_path / "teacher.keras")
    ours, theirs = teacher.predict(ids, verbose=0), loaded.predict(ids, verbose=0)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
