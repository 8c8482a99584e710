"""What starting costs: the import, and the time to the first step.

    python benchmarks/startup.py
    KERAS_BACKEND=jax python benchmarks/startup.py --repeats=3 --encoder=small_resnet

Fresh processes, medians. The import: each process imports Keras, then keras_c2kd, and
times both, so that the two figures of a pair come from the same process. The first
step: a process builds the two networks and trains one batch (tracing and compiling),
with C2KD or with plain joint training of both on their labels, in turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

IMPORT = """
import json, time
start = time.perf_counter()
import keras
middle = time.perf_counter()
import keras_c2kd
print(json.dumps([middle - start, time.perf_counter() - middle]))
"""
FIRST_STEP = """
import sys, time
import numpy as np
import step_time
kind, encoder = sys.argv[1:]
step_time.FLAGS(["startup", f"--encoder={encoder}", "--batch_size=8"])
images = {"depth": step_time.batch_of(1), "rgb": step_time.batch_of(3)}
labels = np.arange(8) % 8
start = time.perf_counter()
model = getattr(step_time, kind)()
step_time.keras_side(model, images, labels, steps=1)()
print(time.perf_counter() - start)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--encoder", default="resnet18")
    options = parser.parse_args()
    imports = [json.loads(run(IMPORT)) for _ in range(options.repeats)]
    keras, ours = (statistics.median(times) for times in zip(*imports, strict=True))
    print(
        f"import keras {keras:.2f} s; import keras_c2kd adds {1000 * ours:.0f} ms "
        f"({ours / keras:.1%}); medians of {options.repeats}"
    )
    pairs = [
        [float(run(FIRST_STEP, kind, options.encoder)) for kind in ("joint", "c2kd")]
        for _ in range(options.repeats)
    ]
    joint, c2kd = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"time to the first step of a {options.encoder} pair: joint training "
        f"{joint:.1f} s, C2KD {c2kd / joint:.2f} x that"
    )


def run(program, *arguments):
    path = os.pathsep.join(
        [str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return done.stdout.splitlines()[-1]


if __name__ == "__main__":
    main()
