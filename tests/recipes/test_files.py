import os
import random
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from files import lock, read_model, write_aside

from tests.helpers import dense_net
from tests.recipes.conftest import RECIPES

LOADS = 200
NAMESPACE = ["unshare", "--map-root-user", "--mount"]


@pytest.mark.slow
def test_a_damaged_model_is_an_error_or_has_the_same_weights(tmp_path):
    model = dense_net(6)
    file = tmp_path / "student.keras"
    model.save(file)
    whole, draw = file.read_bytes(), random.Random(0)
    errors = 0
    for i in range(LOADS):
        damaged = bytearray(whole)
        if i % 4 == 0:
            damaged = damaged[: draw.randrange(len(whole))]
        else:
            for _ in range(draw.choice([1, 1, 3, 30])):
                damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        file.write_bytes(damaged)
        try:
            loaded = read_model(file)
        except ValueError as error:
            assert "whole model file" in str(error) and str(file) in str(error)
            errors += 1
            continue
        for one, other in zip(model.get_weights(), loaded.get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
        assert loaded.get_config()["layers"] == model.get_config()["layers"]
    assert errors > LOADS // 2


def test_a_whole_model_is_read(tmp_path):
    model = dense_net(6)
    model.save(tmp_path / "student.keras")
    assert isinstance(read_model(tmp_path / "student.keras"), keras.Model)
    with pytest.raises(FileNotFoundError):
        read_model(tmp_path / "none.keras")


FULL = """
import sys
from pathlib import Path
from files import write_aside

path, most = Path("small/log.csv"), int(sys.argv[1])
write_aside(path, lambda file: file.write("before"))
for _ in range(2):
    try:
        write_aside(path, lambda file: file.write("row" * most))
    except OSError as error:
        for words in (str(path), "No space left", "the same command goes on"):
            assert words in str(error), error
    else:
        raise AssertionError("it was written")
    assert path.read_text() == "before"
    assert [file.name for file in path.parent.iterdir()] == [path.name]
write_aside(path, lambda file: file.write("after"))
assert path.read_text() == "after"
"""


@pytest.mark.parametrize("size", [8192, 65536, 1 << 20])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, size):
    """A small tmpfs in a mount namespace of its own."""
    if not shutil.which("unshare") or subprocess.run([*NAMESPACE, "true"]).returncode:
        pytest.skip("this system lets no user mount a tmpfs")
    (tmp_path / "small").mkdir()
    script = f'mount -t tmpfs -o size={size} none small && exec "$@"'
    command = [sys.executable, "-c", FULL, str(size)]
    done = subprocess.run(
        [*NAMESPACE, "sh", "-c", script, "sh", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(RECIPES)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_a_file_that_could_not_be_written_is_as_it_was(tmp_path):
    path = tmp_path / "log.csv"
    write_aside(path, lambda file: file.write("before"))

    def fail(file):
        file.write("after")
        raise KeyError("a mistake")

    with pytest.raises(KeyError):
        write_aside(path, fail)
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]


def test_one_run_at_a_time_writes_to_a_folder(tmp_path):
    held = lock(tmp_path / "run")
    with pytest.raises(ValueError, match="or run is writing to. Received: .*run$"):
        lock(tmp_path / "run", patience=0.2)
    os.close(held)
    os.close(lock(tmp_path / "run", patience=0.2))
