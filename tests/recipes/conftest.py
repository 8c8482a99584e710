import os
import subprocess
import sys
from pathlib import Path

import pytest

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
def undisturbed(tmp_path_factory, run_in):
    """A small contest that nothing has happened to, and what it printed."""
    folder = tmp_path_factory.mktemp("contest")
    flags = ("--smoke", "--methods=alone,kd,c2kd", "--seeds=2", "--run_dir=run")
    done = run_in(folder, "compare", "sun_rgbd", *flags, "--workers=2")
    return folder / "run", done.stdout
