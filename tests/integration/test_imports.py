"""Imports run one way, and no backend comes in by the side door."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import keras_c2kd

ROOT = Path(keras_c2kd.__file__).parent
# A room may import the rooms named here, and itself.
ALLOWED = {
    "ops": {"backend"},
    "losses": {"ops"},
    "layers": {"ops", "losses"},
    "metrics": {"ops"},
    "backend": set(),
    "diagnostics": {"ops", "backend"},
    "callbacks": {"diagnostics", "backend", "distribution"},
    "models": set(),
    "export": {"data", "backend"},
    "data": set(),
    "distillers": {"ops", "losses", "layers", "metrics", "backend"},
}
FRAMEWORKS = {"tensorflow", "jax", "torch"}
MAY_IMPORT_A_FRAMEWORK = {
    "backend": FRAMEWORKS,
    "data": {"tensorflow"},
    "export": {"tensorflow"},  # in processes of their own
}


def imported(path):
    """Top-level names and keras_c2kd rooms that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", ALLOWED)
def test_imports_run_one_way(room):
    for path in (ROOT / room).rglob("*.py"):
        names = set(imported(path))
        rooms = {n.split(".")[1] for n in names if n.startswith("keras_c2kd.")}
        assert rooms <= ALLOWED[room] | {room}, path
        frameworks = {n.split(".")[0] for n in names} & FRAMEWORKS
        assert frameworks <= MAY_IMPORT_A_FRAMEWORK.get(room, set()), path


def test_every_room_is_on_the_map():
    rooms = {p.parent.relative_to(ROOT).parts[0] for p in ROOT.glob("*/__init__.py")}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_imports_and_trains_without_tensorflow(backend):
    pytest.importorskip(backend)
    code = """
import os, sys
os.environ["KERAS_BACKEND"] = sys.argv[1]
sys.modules["tensorflow"] = None  # any import of it raises ImportError
from tests.helpers import distiller, pairs
x, y = pairs()
model = distiller()
model.fit(x, y, epochs=2, verbose=0)
assert model.predict(x["rgb"], verbose=0).shape == (24, 3)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, backend],
        cwd=ROOT.parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_the_root_brings_neither_data_nor_heavy_packages():
    code = """
import keras, sys
before = set(sys.modules)
import keras_c2kd
new = {name for name in set(sys.modules) - before}
heavy = {"scipy", "matplotlib", "PIL", "h5py"} & {n.split(".")[0] for n in new}
assert not heavy, heavy
assert not [n for n in new if n.startswith("keras_c2kd.data")]
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
