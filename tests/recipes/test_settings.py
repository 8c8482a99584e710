"""What a folder remembers, and what a result says of how it was made."""

import json
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
from absl.testing import flagsaver
from fingerprint import fingerprint
from recipe import FLAGS
from settings import all_flags, command, remember, revision, versions

from keras_c2kd.data import Rgb, Spectrogram
from keras_c2kd.data.samples import Samples


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


def test_a_result_says_what_was_typed_and_with_which_packages(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipes/ave.py", "--data_dir=my data"])
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    assert command() == "python recipes/ave.py '--data_dir=my data'"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert command().startswith("KERAS_BACKEND=jax python recipes/ave.py ")
    found = versions()
    assert found["keras"] == keras.__version__ and found["numpy"] == np.__version__
    assert {"python", "keras_c2kd", "jax", "tensorflow", "scipy"} <= found.keys()
    assert "unknown" not in found.values()


def test_flags_of_libraries_are_none_of_ours():
    with flagsaver.flagsaver():
        FLAGS(["test", "--run_dir=here", "--int8"])
        flags = all_flags()
    assert flags["run_dir"] == "here" and flags["int8"] and flags["encoder"]
    assert not {"verbosity", "delta_threshold", "hbm_oom_exit"} & flags.keys()


class Part:
    """What a fingerprint sees of `keras_c2kd.data.Decoded`."""

    def __init__(self, folder, texts=("a", "b")):
        for name, content in {"0.png": b"zero", "1.png": b"one", "0.wav": b"w"}.items():
            (folder / name).write_bytes(content)
        images = np.array([str(folder / f"{i}.png") for i in range(2)])
        # A sample may lack a modality.
        audio = {"path": np.array([str(folder / "0.wav"), ""]), "rate": np.ones(2)}
        sources = {"image": images, "audio": audio, "text": np.array(texts)}
        labels = np.array([0, 1], "int32")
        self.samples = Samples(("a", "b"), sources, labels, ("cat", "dog"))
        self.labels, self.ids = labels, self.samples.ids
        self.class_names = self.samples.class_names


class Text:
    kind = "tokens"


def test_a_fingerprint_is_of_contents_wherever_they_lie(tmp_path):
    modalities = {"image": Rgb(8), "audio": Spectrogram(8000, 1.0, 64, 64)}
    modalities["text"] = Text()
    folders = [tmp_path / name for name in ("here", "there")]
    for folder in folders:
        folder.mkdir()
    one, two = ({"train": Part(folder)} for folder in folders)
    found = fingerprint(one, modalities)
    assert fingerprint(two, modalities) == found and len(found) == 64
    other = {"train": Part(folders[1], texts=("a", "c"))}
    others = [fingerprint(part, modalities) for part in (other, {"test": one["train"]})]
    (folders[1] / "1.png").write_bytes(b"two")  # of the same size
    others.append(fingerprint(two, modalities))
    one["train"].samples.sources["audio"]["rate"][1] = 2
    others.append(fingerprint(one, modalities))
    assert len({found, *others}) == 5
