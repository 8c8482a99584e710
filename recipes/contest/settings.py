"""What the results of a contest depend on: flags and versions."""

import os
import platform
from importlib import metadata
from pathlib import Path

import loading
import nets
import recipe as shared
from files import read_json

# Flags that choose cells, or where and how fast they are run, but not what is in one.
FREE = ("teacher", "student", "seeds", "run_dir", "cache_dir", "checkpoint_minutes")


def settings_that_matter(recipe_module) -> dict:
    """All flags and versions that a cell's result depends on, but for its name."""
    flags = shared.FLAGS
    modules = (loading, nets, shared, recipe_module)
    found = [f for m in modules for f in flags.get_flags_for_module(m.__name__)]
    settings = {f.name: f.value for f in found if f.name not in FREE}
    if settings["data_dir"]:
        settings["data_dir"] = os.path.abspath(settings["data_dir"])
    return {
        "recipe": recipe_module.RECIPE.name,
        **settings,
        "threads": flags.threads,
        "backend": backend(),
        **{f"{name} version": version(name) for name in packages()},
    }


def backend() -> str:
    """Keras's choice, without the seconds that importing it takes."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    config = read_json(home / "keras.json") or {}
    return os.environ.get("KERAS_BACKEND") or config.get("backend", "tensorflow")


def packages() -> tuple[str, ...]:
    return ("keras_c2kd", "keras", backend(), "numpy")


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def versions() -> dict[str, str]:
    """Of what a result was made with."""
    found = {name: version(name) for name in packages()}
    return {"python": platform.python_version(), **found}
