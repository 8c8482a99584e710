"""Files that are whole or not there: written aside, then renamed; and a lock."""

import json
import os
import time
import zipfile

try:
    import fcntl
except ImportError:  # Windows, where no folder is locked
    fcntl = None


def write_aside(path, write, mode="w"):
    """Call `write(file)` on a neighbouring file, then rename it.

    Raises:
        OSError: the disk is full, or refuses; what was there before is unharmed.
    """
    aside = path.with_name(f".{path.name}.writing")
    text = {} if "b" in mode else {"newline": "", "encoding": "utf-8"}
    try:
        with open(aside, mode, **text) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise OSError(
            f"Expected {path} to be written; what was written before is unharmed, and "
            f"the same command goes on from it. Received: {error.strerror or error}"
        ) from error
    finally:
        aside.unlink(missing_ok=True)


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


def lock(folder, patience=2.0):
    """One run, or contest, at a time writes to a folder.

    Returns:
        A descriptor that holds the lock until it is closed; it ends with the process,
        and with those it is handed down to.

    Raises:
        ValueError: another one is at work, and was after `patience` seconds.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
    until = time.monotonic() + patience
    while fcntl:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(descriptor)
                raise ValueError(
                    "Expected a folder that no other contest or run is writing to. "
                    f"Received: --run_dir={folder}"
                ) from None
            time.sleep(0.1)
    return descriptor
