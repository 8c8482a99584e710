"""Runs the suite on every backend that is installed: `python -m tests`.

TensorFlow runs everything; JAX and torch run all that touches a backend. Arguments go
to pytest: `python -m tests -k saving`.
"""

import importlib.util
import os
import subprocess
import sys

# Not repeated on every backend: readers and recipes do not depend on it.
ONCE = ["tests/data", "tests/recipes", "keras_c2kd/data"]
ONCE += ["tests/test_readme.py", "tests/test_notebook.py", "tests/test_security.py"]
# In the order of tests/conftest.py.
WORKERS = ["-n2", "--dist=loadgroup", "--no-loadscope-reorder"]
PARTS = {"tensorflow": [], "jax": ONCE, "torch": ONCE}


def main() -> int:
    failed = []
    for backend, left_out in PARTS.items():
        if importlib.util.find_spec(backend) is None:
            print(f"=== {backend}: not installed, left out", flush=True)
            continue
        print(f"=== {backend}", flush=True)
        others = [
            f"keras_c2kd/backend/{other}_{part}.py"
            for other in PARTS
            if other != backend
            for part in ("train_step", "devices")
        ]
        ignored = [f"--ignore={path}" for path in [*left_out, *others]]
        command = [sys.executable, "-m", "pytest", "-q", *WORKERS, *ignored]
        command += sys.argv[1:]
        environment = {**os.environ, "KERAS_BACKEND": backend}
        if subprocess.run(command, env=environment).returncode:
            failed.append(backend)
    print(f"=== failed on: {', '.join(failed)}" if failed else "=== all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
