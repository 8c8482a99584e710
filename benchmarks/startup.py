"""What `import keras_c2kd` adds to `import keras`: medians over fresh processes.

    python benchmarks/startup.py --repeats=9

Each repeat starts one process, imports Keras, then keras_c2kd, and times both, so that
the two figures of a pair come from the same process. Run it per backend with
KERAS_BACKEND.
"""

import argparse
import json
import statistics
import subprocess
import sys

TIMED = """
import json, time
start = time.perf_counter()
import keras
middle = time.perf_counter()
import keras_c2kd
print(json.dumps([middle - start, time.perf_counter() - middle]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    once = [sys.executable, "-c", TIMED]
    runs = [
        json.loads(
            subprocess.run(once, capture_output=True, text=True, check=True).stdout
        )
        for _ in range(repeats)
    ]
    keras, ours = (statistics.median(times) for times in zip(*runs, strict=True))
    print(
        f"import keras {keras:.2f} s; import keras_c2kd adds {1000 * ours:.0f} ms "
        f"({ours / keras:.1%}); medians of {repeats}"
    )


if __name__ == "__main__":
    main()
