"""A recipe's data, by its flags."""

import numpy as np
import pytest
import sun_rgbd
from absl.testing import flagsaver
from loading import Data
from recipe import FLAGS

from keras_c2kd.data import write_sun_rgbd


@pytest.mark.parametrize("augment", [True, False])
def test_samples_are_changed_in_training_unless_told_otherwise(tmp_path, augment):
    root = str(write_sun_rgbd(tmp_path / "data", 60))
    with flagsaver.flagsaver():
        FLAGS(["test", f"--augment={augment}", f"--data_dir={root}"])
        FLAGS.image_size, FLAGS.batch_size = 16, 8
        recipe = sun_rgbd.RECIPE
        data = Data(recipe.load(), recipe.modalities, recipe.crops())
        first, second = (by_sample(data.train(0, epoch)) for epoch in (0, 1))
    for name in ("depth", "rgb"):
        kept = [sample for sample in first[name] if sample in second[name]]
        assert bool(kept) is not augment


def by_sample(batches):
    """Name to the bytes of every sample."""
    rows = {"depth": [], "rgb": []}
    for inputs, _ in batches:
        for name, found in rows.items():
            found += [np.asarray(row).tobytes() for row in inputs[name]]
    return rows
