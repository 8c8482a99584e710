import io

import numpy as np
import pytest
import scipy.io
from PIL import Image

from keras_c2kd.data import Depth, Rgb, write_sun_rgbd
from tests.conftest import SHARED

REAL = SHARED / "data" / "sun_rgbd"
needs_real_scenes = pytest.mark.skipif(
    not REAL.exists(), reason="the real scenes are not beside the checkout (../shared)"
)


def rotate(millimetres):
    """SUN RGB-D's bit rotation, in NumPy."""
    return ((millimetres << 3) | (millimetres >> 13)).astype("uint16")


def encoded(array, kind, mode=None, **options):
    """The bytes of an image file that Pillow writes."""
    image, file = Image.fromarray(array), io.BytesIO()
    (image.convert(mode) if mode else image).save(file, kind, **options)
    return file.getvalue()


def jpeg(array):
    return encoded(array, "JPEG", quality=95)


def png(array):
    return encoded(array, "PNG")


def write_scene(root, scene, class_name, value=100, size=(12, 16), holes="depth_bfx"):
    """One scene; its number is in its colour and in its depth (millimetres)."""
    folder = root / "SUNRGBD" / scene
    files = {
        "image/a.jpg": jpeg(np.full((*size, 3), value, "uint8")),
        f"{holes}/a.png": png(rotate(np.full(size, 10 * value, "uint16"))),
        "depth/a.png": png(rotate(np.full(size, 10 * value + 1, "uint16"))),
        "scene.txt": class_name.encode(),
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def write_lists(root, train, test):
    cells = {}
    for name, scenes in (("alltrain", train), ("alltest", test)):
        cells[name] = np.empty((1, len(scenes)), object)
        cells[name][0] = [f"/data1/SUNRGBD/{scene}" for scene in scenes]
    file = root / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    file.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(file, cells)
    return file


@pytest.fixture
def tree(tmp_path):
    """Four scenes of two classes, written by hand."""
    names = ("kitchen", "office", "kitchen", "office")
    scenes = ["kv1/a/s0", "kv1/a/s1", "xtion/sun3ddata/b/c/s2", "kv2/d/s3"]
    for number, (scene, name) in enumerate(zip(scenes, names, strict=True)):
        write_scene(tmp_path, scene, name, value=50 + 50 * number)
    write_lists(tmp_path, [scenes[0] + "/", scenes[1]], [scenes[2], scenes[3] + "/"])
    return tmp_path


@pytest.fixture(scope="session")
def miniature(tmp_path_factory):
    return write_sun_rgbd(tmp_path_factory.mktemp("data") / "mini", num_scenes=48)


def modalities(size, **options):
    return {"rgb": Rgb(size, **options), "depth": Depth(size, **options)}


def packed(decoded):
    """All packed samples of a modality as arrays, in order."""
    batches = list(decoded.batches(7, False).as_numpy_iterator())
    return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}


def mutate(content, rng):
    """Flip, overwrite, cut or repeat a few bytes."""
    content = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        at, length = rng.integers(len(content)), int(rng.integers(1, 9))
        kind = rng.integers(4)
        if kind == 0:
            content[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            content[at : at + length] = rng.bytes(length)
        elif kind == 2:
            del content[at : at + length * 8]
        else:
            content[at:at] = content[at : at + length]
        content = content or bytearray(b"\0")
    return bytes(content)
