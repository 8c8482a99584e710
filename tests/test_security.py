"""Nothing that is read may run code; and what CI says of known vulnerabilities."""

import ast
import json
import runpy
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[1]
FILES = [p for room in ("keras_c2kd", "recipes") for p in (ROOT / room).rglob("*.py")]
UNPICKLING = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "cloudpickle"}
RUNNING = {"eval", "exec", "compile", "__import__"}


def faults(source):
    """What in Python code could run what a file holds."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (n for n in names if n.split(".")[0] in UNPICKLING)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module.split(".")[0] in UNPICKLING:
                yield node.module
        elif isinstance(node, ast.Call):
            yield from calls(node)


def calls(node):
    function, options = node.func, {k.arg: k.value for k in node.keywords}
    name = getattr(function, "attr", getattr(function, "id", ""))
    if isinstance(function, ast.Name) and name in RUNNING:
        yield name
    if (
        name == "load"
        and getattr(getattr(function, "value", None), "id", "") == "torch"
    ):
        yield "torch.load"
    if name in (
        "load_model",
        "deserialize_keras_object",
        "enable_unsafe_deserialization",
    ):
        if name.startswith("enable") or "safe_mode" in options:
            yield f"{name} with safe_mode"
    allowed = options.get("allow_pickle")
    if allowed is not None and not (
        isinstance(allowed, ast.Constant) and allowed.value is False
    ):
        yield "allow_pickle"
    if name == "system" or isinstance(options.get("shell"), ast.Constant):
        yield "a shell"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_is_unpickled_or_run(path):
    assert list(faults(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "np.load(f, allow_pickle=True)",
        "keras.models.load_model(f, safe_mode=False)",
        "keras.config.enable_unsafe_deserialization()",
        "torch.load(f)",
        "eval(text)",
        "subprocess.run(command, shell=True)",
        "os.system(command)",
    ],
)
def test_it_would_be_seen(source):
    assert list(faults(source))


AUDITED = [{"name": "good", "version": "1", "vulns": []}]
BAD = [{"name": "bad", "version": "2", "vulns": [{"id": "CVE-1"}]}]
SKIPPED = [{"name": "one", "skip_reason": "not found"}]
AUDITS = {
    "good": (AUDITED + SKIPPED, 0, "1 of 2 packages audited, 0 vulnerable"),
    "bad": (BAD + AUDITED, 1, "2 of 2 packages audited, 1 vulnerable"),
    "none known": (SKIPPED, 0, "NOT AUDITED: the database knows none of 1 packages"),
    "no network": (None, 0, "NOT AUDITED: no route"),
}


@pytest.mark.parametrize("case", AUDITS)
def test_an_audit_that_was_none_is_said(case, monkeypatch, capsys):
    found, code, words = AUDITS[case]
    printed = "" if found is None else json.dumps({"dependencies": found})
    done = SimpleNamespace(stdout=printed, stderr="a traceback\nno route\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **options: done)
    audit = runpy.run_path(str(ROOT / ".ci" / "audit.py"))
    assert audit["main"]() == code
    assert capsys.readouterr().out.splitlines()[-1] == words
