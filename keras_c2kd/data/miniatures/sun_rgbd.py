"""A small SUN RGB-D of generated rooms, in the layout of the real one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import scipy.io
import tensorflow as tf

from keras_c2kd.data.depth import encode_sun_depth
from keras_c2kd.data.miniatures.common import write_miniature
from keras_c2kd.data.rooms import ROOM_CLASSES, Photograph, furnish, photograph

_VERSION = 1  # raised whenever the same seed gives other files
_WIDTH, _HEIGHT = 160, 120
_TRAIN_SHARE = 0.6
_FILES_PER_SCENE = 5
# Sensor, source, and how deep scenes lie: sun3ddata has two folders more.
_SOURCES = (
    "kv1/b3dodata/{scene}",
    "kv1/NYUdata/{scene}",
    "kv2/align_kv2/{scene}",
    "xtion/sun3ddata/building_{group}/floor_{group}/{scene}",
)
# The real lists were made on somebody else's disk, and so are these.
_LISTED_ROOT = "/n/fs/sun3d/data/SUNRGBD"


def write_sun_rgbd(
    root: str | os.PathLike,
    num_scenes: int = 1600,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature SUN RGB-D, or finds the one that was written before.

    Recipes, tests and benchmarks that have no data go through the real reader with
    it: the same folders, file formats, bit encoding and split file. Rooms of eight of
    the official classes are told apart by what stands in them; each modality has its
    own trouble with them (dark pictures, misleading clutter, holes, noise).

    It is written aside and renamed, so it is there as a whole or not at all; another
    version, seed or size is replaced.

    Args:
        root: The folder that will hold `SUNRGBD/` and `SUNRGBDtoolbox/`.
        num_scenes: RGB-depth pairs, at least 16; 60 % of each class are for training.
        seed: The same seed gives the same files.
        progress: Called as `progress(done, total)` after every scene.

    Returns:
        `root`.

    Raises:
        ValueError: too few scenes, or `root` holds something that is no miniature.

    Example:

    ```python
    root = write_sun_rgbd("miniature", num_scenes=80)
    splits = read_sun_rgbd(root)
    ```
    """
    if num_scenes < 2 * len(ROOM_CLASSES):
        raise ValueError(
            f"Expected at least {2 * len(ROOM_CLASSES)} scenes, two of each class. "
            f"Received: num_scenes={num_scenes}"
        )
    return write_miniature(
        root,
        {"version": _VERSION, "seed": seed, "num_scenes": num_scenes},
        _FILES_PER_SCENE * num_scenes + 1,  # and the split file
        lambda aside: _write(aside, num_scenes, seed, progress),
    )


def _write(root: Path, num_scenes: int, seed: int, progress) -> None:
    folders = list(_scene_folders(num_scenes))

    def write_one(number):
        rng = np.random.default_rng([seed, number])
        class_name = ROOM_CLASSES[number % len(ROOM_CLASSES)]
        room, camera = furnish(class_name, rng)
        picture = photograph(room, camera, rng, _WIDTH, _HEIGHT)
        _write_scene(root / "SUNRGBD" / folders[number], class_name, picture)

    # NumPy lets go of the interpreter lock in its larger operations.
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for done, _ in enumerate(pool.map(write_one, range(num_scenes)), start=1):
            if progress is not None:
                progress(done, num_scenes)
    _write_split(root, folders)


def _scene_folders(num_scenes: int) -> Iterator[str]:
    for number in range(num_scenes):
        source = _SOURCES[(number // len(ROOM_CLASSES)) % len(_SOURCES)]
        yield source.format(scene=f"img_{number:04d}", group=number % 3)


def _write_scene(folder: Path, class_name: str, picture: Photograph) -> None:
    name = folder.name
    with tf.device("CPU:0"):
        jpeg = tf.io.encode_jpeg(picture.rgb, quality=92).numpy()
    focal, x, y = picture.focal, (_WIDTH - 1) / 2, (_HEIGHT - 1) / 2
    files = {
        f"image/{name}.jpg": jpeg,
        f"depth/{name}_abs.png": encode_sun_depth(picture.depth),
        f"depth_bfx/{name}_abs.png": encode_sun_depth(picture.depth_filled),
        "scene.txt": class_name.encode(),
        "intrinsics.txt": f"{focal:.6f} 0 {x}\n0 {focal:.6f} {y}\n0 0 1\n".encode(),
    }
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def _write_split(root: Path, folders: list[str]) -> None:
    """`allsplit.mat`: two cell arrays of paths, some of them with a trailing slash."""
    rounds = len(folders) / len(ROOM_CLASSES)
    lists = {"alltrain": [], "alltest": []}
    for number, folder in enumerate(folders):
        in_train = number // len(ROOM_CLASSES) < max(1, round(_TRAIN_SHARE * rounds))
        listed = f"{_LISTED_ROOT}/{folder}" + ("/" if number % 5 == 0 else "")
        lists["alltrain" if in_train else "alltest"].append(listed)
    cells = {}
    for name, paths in lists.items():
        cells[name] = np.empty((1, len(paths)), object)
        cells[name][0] = paths
    file = root / "SUNRGBDtoolbox" / "traintestSUNRGBD" / "allsplit.mat"
    file.parent.mkdir(parents=True)
    # Compressed, as the real one is: SciPy can crash on damaged uncompressed cells.
    scipy.io.savemat(file, cells, do_compression=True)


def contact_sheet(root: str | os.PathLike, path: str | os.PathLike) -> None:
    """Draws one scene of each class of a dataset, colour above depth.

    Args:
        root: A folder that `read_sun_rgbd` reads.
        path: The PNG to write; below 300 kB for eight classes.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from keras_c2kd.data.depth import decode_sun_depth
    from keras_c2kd.data.image import decode_rgb
    from keras_c2kd.data.sun_rgbd import read_sun_rgbd

    index = read_sun_rgbd(root, depth="depth")["train"]
    count = len(index.class_names)
    figure, axes = plt.subplots(
        2, count, figsize=(1.6 * count, 2.7), layout="constrained"
    )
    for label, name in enumerate(index.class_names):
        sample = int(np.flatnonzero(index.labels == label)[0])
        files = {m: Path(p[sample]).read_bytes() for m, p in index.sources.items()}
        axes[0, label].imshow(decode_rgb(files["rgb"]).numpy())
        depth = decode_sun_depth(files["depth"]).numpy()[..., 0]
        axes[1, label].imshow(np.ma.masked_equal(depth, 0), cmap="viridis_r", vmax=6)
        axes[0, label].set_title(name.replace("_", " "), fontsize=9)
    for axis in axes.ravel():
        axis.axis("off")
    figure.savefig(path, dpi=70)
    plt.close(figure)
