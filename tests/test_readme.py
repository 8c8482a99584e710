"""Every code block of the README runs, and every command is one that exists."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def blocks(language):
    return [text for name, text in BLOCKS if name == language]


def test_the_python_blocks_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), namespace)
    assert (tmp_path / "student.keras").exists()
    assert keras.models.load_model(tmp_path / "student.keras").built


def test_the_first_two_bash_blocks_are_the_two_commands():
    main, tests = blocks("bash")[:2]
    assert "python recipes/sun_rgbd.py" in main and "python -m tests" in tests


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    sorted(
        {line for b in blocks("bash") for line in b.splitlines() if "recipes/" in line}
    ),
)
def test_each_recipe_command_knows_its_flags(command, tmp_path):
    arguments = shlex.split(command.split("&&")[-1], comments=True)
    recipe, flags = arguments[1], arguments[2:]
    done = subprocess.run(
        [sys.executable, str(ROOT / recipe), *flags, "--only_check_args"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_pictures_are_there_and_small():
    for path in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README):
        assert (ROOT / path).stat().st_size < 300_000, path
