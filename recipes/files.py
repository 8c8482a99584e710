"""Files that are whole or not there: written aside, then renamed."""

import json
import os
import zipfile


def write_aside(path, write, mode="w"):
    """Call `write(file)` on a neighbouring file, then rename it."""
    aside = path.with_name(f".{path.name}.writing")
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    with open(aside, mode, **text) as file:
        write(file)
    os.replace(aside, path)


def write_json(path, content):
    write_aside(path, lambda file: json.dump(content, file, indent=2, default=str))


def read_json(path):
    """What `write_json` wrote; None where nothing is."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None


def read_model(path):
    """A `.keras` file, every byte of its content checked by its checksums.

    Raises:
        ValueError: the file is damaged.
    """
    import keras

    try:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise ValueError(f"wrong checksum of {damaged}")
        return keras.models.load_model(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # whatever zlib, zipfile, h5py and Keras may raise
        words = str(error).splitlines()[0][:200] if str(error) else ""
        raise ValueError(
            f"Expected {path} to be a whole model file, as it was written; take it "
            "from a backup, or begin anew in another --run_dir. "
            f"Received: {type(error).__name__}: {words}"
        ) from error
