"""Start the scripts of this folder in fresh processes."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

MINUTES = 30  # a converter that hangs would hang a training's last step


def run_script(script: str, *arguments, modules: Sequence[str] = ()) -> None:
    """Run `script` with a Python that has imported nothing.

    Args:
        script: file name, beside this one.
        *arguments: made to strings.
        modules: to be imported by the script before it loads a model.

    Raises:
        RuntimeError: it failed, the message is the last line that it wrote; or it ran
            for half an hour.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    # CPU is where outputs are compared, and another process may hold the accelerator.
    environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    if modules:  # they lie where this process found them
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [*sys.path, "."]))
    command = [sys.executable, "-P", str(Path(__file__).with_name(script))]
    try:
        done = subprocess.run(
            [*command, *map(str, arguments), ",".join(modules)],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=60 * MINUTES,
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(
            f"Expected its process ({script}) to end within {MINUTES} minutes; with "
            "fewer samples it may. Received: a process that ran on, and was ended"
        ) from None
    if done.returncode:
        raise RuntimeError(_reason(done))


def _reason(done):
    """One sentence, whatever a converter printed before it."""
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    said = [line for line in lines if line.startswith("EXPORT: ")]
    if said:
        unknown = re.search(r"Could not locate \w+ '(\w+)'", said[-1])
        if unknown:
            return (
                "Expected layers that Keras knows, or `modules` to name the one where "
                f"they are registered. Received: {unknown[1]}"
            )
        return said[-1].removeprefix("EXPORT: ")[:300]
    if done.returncode < 0:
        return f"its process was ended by signal {-done.returncode}"
    return lines[-1][:300] if lines else f"its process ended with {done.returncode}"
