"""What results depend on: flags, versions, code, device and data."""

import os
import platform
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from files import read_json, write_json
from recipe import FLAGS

# Flags that say what is run, where and how fast, but not what comes out of a training.
FREE = {"run_dir", "cache_dir", "seeds", "checkpoint_minutes", "resume", "export"}
FREE |= {"int8"}
FREE |= {"distribution"}  # equal but for rounding

LIBRARIES = ("absl", "tensorflow")

# What a result may depend on beside `packages`: TensorFlow decodes on every backend.
OTHERS = ("tensorflow", "jaxlib", "scipy", "h5py", "keras-hub", "tensorflow-text")
OTHERS += ("tensorflow-io",)


def settings_that_matter(recipe, free=frozenset()) -> dict:
    """All flags and versions that a training's result depends on.

    Args:
        recipe: a `Recipe`.
        free: more flags that do not matter.
    """
    flags = {k: v for k, v in all_flags().items() if k not in FREE | free}
    if flags["data_dir"]:
        flags["data_dir"] = os.path.abspath(flags["data_dir"])
    found = {"recipe": recipe.name, **flags, "backend": backend()}
    return found | {f"{name} version": version(name) for name in packages()}


def all_flags() -> dict:
    """Name to value, but for those of libraries, which come with their imports."""
    of_modules = FLAGS.flags_by_module_dict().items()
    ours = [f for name, f in of_modules if name.split(".")[0] not in LIBRARIES]
    return {flag.name: flag.value for found in ours for flag in found}


def remember(file: Path, settings: dict, begun: bool) -> None:
    """Writes settings, or compares them with those that were written.

    Args:
        file: where they are, or will be.
        settings: of `settings_that_matter`.
        begun: whether there are results yet; without them a flag may be corrected.

    Raises:
        ValueError: the folder of the file has results that were made otherwise.
    """
    before = read_json(file)
    if before is None or not begun:
        write_json(file, settings)
        return
    for name in dict.fromkeys([*settings, *before]):
        now, then = settings.get(name), before.get(name)
        if now != then:
            raise ValueError(
                f"Expected the settings that {file.parent} was begun with, since its "
                "results would not be comparable; give another --run_dir, or "
                f"{name}={then}. Received: {name}={now}"
            )


def made(data, replicas) -> dict:
    """What somebody needs to make a training again.

    Args:
        data: a `loading.Data`.
        replicas: a `keras_c2kd.distribution.Replicas`.
    """
    return {
        "command": command(),
        "flags": all_flags(),
        "versions": versions(),
        "device": device(),
        "replicas": replicas._asdict(),
        "revision": revision(),
        "data": data.fingerprint(),
    }


def command() -> str:
    """What was typed, with the variable that chooses the backend."""
    chosen = os.environ.get("KERAS_BACKEND")
    before = [f"KERAS_BACKEND={chosen}"] if chosen else []
    return " ".join([*before, "python", shlex.join(sys.argv)])


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
    found |= {name: version(name) for name in OTHERS if version(name) != "unknown"}
    return {"python": platform.python_version(), **found}


def device() -> str:
    """What the backend trains on, by its name."""
    if backend() == "jax":
        import jax

        return jax.devices()[0].device_kind
    if backend() == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_device_details(gpu)["device_name"]
    return "cpu"


def revision() -> str | None:
    """The git commit of the recipes, marked where files were changed since."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always"]
    try:
        done = subprocess.run(
            [*command, "--dirty", "--abbrev=40"], capture_output=True, text=True
        )
    except OSError:
        return None  # no git
    return done.stdout.strip() or None
