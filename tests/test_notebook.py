"""The notebook: from its first cell to its last, and what it says to install."""

import ast
import importlib.metadata
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from keras_c2kd.export.formats import FORMATS

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"


@pytest.mark.slow
def test_it_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat", reason="no nbformat")
    nbclient = pytest.importorskip("nbclient", reason="no nbclient")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    place = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, resources=place).execute()
    printed = "".join(
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") != "stderr"
    )
    assert "with C2KD: " in printed and "student.tflite" in printed
    assert (tmp_path / "shipped" / "student.onnx").exists()


MAGIC = re.compile(r"^\s*%pip install (.*)$", re.MULTILINE)


def code():
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def imported(source):
    """Top-level names of the imports, of other packages than Python's own."""
    for node in ast.walk(ast.parse(source)):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        yield from {n.split(".")[0] for n in names} - sys.stdlib_module_names


def installed_by(asked):
    """Names of the distributions that `pip install` of these would bring here.

    What the extras of this package mean is in pyproject.toml, not in what was
    installed some time ago.
    """
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras, found = project["optional-dependencies"], set()
    left = [Requirement(one) for one in asked]
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        if name == canonicalize_name(project["name"]):
            assert one.extras <= extras.keys(), f"{one} asks for an unknown extra"
            lists = [project["dependencies"], *(extras[e] for e in one.extras)]
            left += [Requirement(line) for lines in lists for line in lines]
        elif name not in found:
            left += needed_by(name, one.extras)
        found.add(name)
    return found


def needed_by(name, extras):
    try:
        lines = importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    environments = [{"extra": extra} for extra in extras or [""]]
    needed = [Requirement(line) for line in lines]
    return [
        one
        for one in needed
        if not one.marker or any(map(one.marker.evaluate, environments))
    ]


def test_what_it_installs_is_what_it_imports():
    source = code()
    (command,) = MAGIC.findall(source)
    asked = [word for word in shlex.split(command) if not word.startswith("-")]
    brought = installed_by(asked)
    needed = set(imported(MAGIC.sub(r"    pass", source)))
    # Its files are written and run by packages that nobody imports in a cell.
    needed |= {package for each in FORMATS.values() for package in each.packages}
    sources = importlib.metadata.packages_distributions()
    lacking = {
        name
        for name in needed
        if not brought & {canonicalize_name(d) for d in sources.get(name, [name])}
    }
    assert {"keras", "keras_c2kd", "matplotlib", "numpy", "tf2onnx"} <= needed
    assert not lacking


def test_an_unknown_extra_and_a_missing_package_would_be_seen():
    with pytest.raises(AssertionError, match="unknown extra"):
        installed_by(["keras_c2kd[exports]"])
    assert "onnxruntime" in installed_by(["keras-c2kd[export]"])
    assert "onnxruntime" not in installed_by(["keras_c2kd[tensorflow]"])
