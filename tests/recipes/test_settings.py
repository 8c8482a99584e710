"""What a folder remembers, and what a result says of how it was made."""

import json
import re
import subprocess

import pytest
from settings import remember, revision


def test_a_folder_remembers_its_settings(tmp_path):
    file = tmp_path / "config.json"
    remember(file, {"epochs": 25, "data_dir": "mistyped"}, begun=False)
    settings = {"epochs": 25, "data_dir": None}
    remember(file, settings, begun=False)
    remember(file, settings, begun=True)
    for changed in ({"epochs": 30}, {"data_dir": "x"}, {"new": 1}):
        with pytest.raises(ValueError, match=f"{next(iter(changed))}=.* Received: "):
            remember(file, {**settings, **changed}, begun=True)
    assert json.loads(file.read_text()) == settings


def test_a_revision_is_that_of_git():
    found = revision()
    if found is None:
        pytest.skip("the recipes are not in a git repository")
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", found)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], text=True).strip()
    assert found.startswith(head)
