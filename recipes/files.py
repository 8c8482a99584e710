"""Files that are whole or not there: written aside, then renamed."""

import json
import os


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
