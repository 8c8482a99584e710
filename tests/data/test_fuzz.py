"""Mutated bytes end in a read or in a clear error, never in anything else."""

from collections import Counter

import numpy as np
import pytest

from keras_c2kd.data import decode, read_sun_rgbd
from tests.data.conftest import modalities, mutate, packed, write_lists, write_scene

FILES = {
    "jpeg": ("SUNRGBD/kv1/a/s0/image/a.jpg", 120),
    "png": ("SUNRGBD/kv1/a/s0/depth_bfx/a.png", 120),
    "class": ("SUNRGBD/kv1/a/s0/scene.txt", 40),
    "lists": ("SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat", 120),
}
SCENES = {"kv1/a/s0", "kv1/a/s1", "kv1/a/s4", "kv2/d/s3"}


@pytest.mark.parametrize("kind", FILES)
def test_mutated_files_are_read_or_named(tree, kind):
    # With a third scene in train, both classes stay there whatever becomes of s0.
    write_scene(tree, "kv1/a/s4", "kitchen")
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv1/a/s4"], ["kv2/d/s3"])
    path, count = FILES[kind]
    original = (tree / path).read_bytes()
    rng, outcomes = np.random.default_rng(7), Counter()
    for _ in range(count):
        (tree / path).write_bytes(mutate(original, rng))
        try:
            splits = read_sun_rgbd(tree)
            pairs = decode(splits["train"], modalities(8))
        except ValueError as error:
            # Lists may also be whole but lead nowhere: then it is about the folder.
            named = str(tree) if kind == "lists" else str(tree / path)
            assert named in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
        else:
            assert packed(pairs)["rgb"].shape == (len(pairs), 8, 8, 3)
            assert packed(pairs)["depth"].shape == (len(pairs), 8, 8, 1)
            assert packed(pairs)["depth"].max() <= 8000
            assert set(splits["train"].ids) <= SCENES
            outcomes["read"] += 1
    assert outcomes["named"] > 0 and outcomes["read"] > 0
