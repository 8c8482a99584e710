import os
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """One place for the miniatures of all runs."""
    return tmp_path_factory.mktemp("keras_home")


@pytest.fixture
def run(tmp_path, home):
    """A recipe as a user runs it: a process of its own, from another folder."""

    def run(recipe, *flags, expect=0):
        environment = {**os.environ, "KERAS_HOME": str(home)}
        environment["KERAS_BACKEND"] = "tensorflow"
        done = subprocess.run(
            [sys.executable, str(RECIPES / f"{recipe}.py"), *flags],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert (done.returncode != 0) == bool(expect), done.stderr + done.stdout
        return done

    return run
