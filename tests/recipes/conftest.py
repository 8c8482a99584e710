import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_c2kd.data import write_sun_rgbd

RECIPES = Path(__file__).parents[2] / "recipes"
sys.path.append(str(RECIPES))  # where a recipe finds its modules


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """One place for the miniatures of all runs."""
    return tmp_path_factory.mktemp("keras_home")


@pytest.fixture(scope="session")
def start(home):
    """Starts a recipe as a user does: a process of its own, from another folder."""

    def start(folder, recipe, *flags, backend="tensorflow", **options):
        environment = {**os.environ, "KERAS_HOME": str(home), "KERAS_BACKEND": backend}
        return subprocess.Popen(
            [sys.executable, str(RECIPES / f"{recipe}.py"), *flags],
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    return start


@pytest.fixture(scope="session")
def run_in(start):
    """The same, until it ends."""

    def run(folder, recipe, *flags, expect=0, **options):
        process = start(folder, recipe, *flags, **options)
        stdout, stderr = process.communicate(timeout=900)
        assert (process.returncode != 0) == bool(expect), stderr + stdout
        return subprocess.CompletedProcess(
            process.args, process.returncode, stdout, stderr
        )

    return run


@pytest.fixture
def run(tmp_path, run_in):
    """The same, in the test's folder."""

    def run(recipe, *flags, expect=0):
        return run_in(tmp_path, recipe, *flags, expect=expect)

    return run


@pytest.fixture(scope="session")
def small(home):
    """A contest on 80 scenes, two epochs of five steps."""
    data = home / "datasets" / "keras_c2kd" / "sun_rgbd_miniature_80"  # --smoke's too
    sizes = ("--epochs=2", "--image_size=32", "--batch_size=8", "--seeds=2")
    data_dir = f"--data_dir={write_sun_rgbd(data, 80)}"
    return ("compare", "sun_rgbd", data_dir, *sizes, "--run_dir=run")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, run_in, small):
    """One of three methods that nothing has happened to, and what it printed."""
    folder = tmp_path_factory.mktemp("contest")
    done = run_in(folder, *small, "--methods=alone,kd,c2kd", "--workers=2")
    return folder / "run", done.stdout
