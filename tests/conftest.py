"""Fixtures and settings that every test shares."""

import gc
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("MPLBACKEND", "agg")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

SHARED = Path(__file__).resolve().parents[2] / "shared"

# The first example compiles; a deadline would measure that.
settings.register_profile("suite", deadline=None, max_examples=40)
settings.load_profile("suite")


def pytest_collection_modifyitems(items):
    """Slow tests first and one by one, so that no worker ends long after the others.

    Quick ones go file by file, for the fixtures that they share; slow ones that share
    an expensive fixture are in an `xdist_group`.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if not item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.xdist_group(str(item.path)))


@pytest.fixture(autouse=True)
def _seeded():
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True, scope="module")
def _left_behind():
    """TensorFlow keeps the graph of every training step: no need to walk them again."""
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def golden():
    """Reads a case of values computed with the authors' released implementation."""

    def load(case):
        path = SHARED / "golden" / f"{case}.npz"
        if not path.exists():
            pytest.skip("the golden values are not beside the checkout (../shared)")
        return dict(np.load(path))

    return load
