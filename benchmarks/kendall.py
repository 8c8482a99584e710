"""What the rank correlation costs, against one SciPy call per sample.

    KERAS_BACKEND=jax python benchmarks/kendall.py
    KERAS_BACKEND=jax python benchmarks/kendall.py --sizes 64x6 4x480x640x40

The released loop calls `scipy.stats.kendalltau` for each sample of a batch. Both sides
take the same correlated logits, in turn, in a fresh process per size. Ours is timed as
it runs in a training step: inside a compiled program, as the difference between one
that correlates `1 + repeats` times and one that does so once. What the call of a
program costs by itself is printed too. Of dense logits SciPy does a part of the rows,
and its time is scaled up. Where torchmetrics is installed, it is timed as well.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import time

SIZES = "64x6 64x28 64x309 256x1000 64x2000 64x6000 64x21841 4x480x640x40".split()
SCIPY_ROWS = 2048


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one, options.blocks)))
        return
    print(
        "backend     logits             SciPy / ours         ours    one call", end=""
    )
    print("  torchmetrics / ours   memory")
    for size in options.sizes:
        command = [sys.executable, __file__, f"--one={size}"]
        command += [f"--blocks={options.blocks}"]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        print(row(size, json.loads(done.stdout.splitlines()[-1])), flush=True)


def row(size, figures):
    ours = figures["ours"]
    others = figures["torchmetrics"]
    return (
        f"{figures['backend']:11} {size:18} {figures['scipy'] / ours:9.1f} x"
        f"  {1e3 * ours:8.2f} ms {1e3 * figures['call']:8.2f} ms"
        f"  {f'{others / ours:8.1f} x' if others else '         -'}"
        f"   {figures['memory']:.0f} MiB for {figures['logits']:.1f} MiB"
    )


def measure(size, blocks):
    import keras
    import numpy as np
    from scipy.stats import kendalltau

    shape = tuple(map(int, size.split("x")))
    rows = math.prod(shape[:-1])
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape, "float32")
    y = x + rng.standard_normal(shape, "float32")
    repeats = min(max(int(1e6 / math.prod(shape)), 2), 100)
    once, often = programs(x, y, repeats)
    before = peak()
    once()
    memory = peak() - before
    some = min(rows, SCIPY_ROWS)
    flat = [z.reshape(rows, shape[-1])[:some] for z in (x, y)]
    sides = {
        "scipy": lambda: [
            kendalltau(a, b).statistic for a, b in zip(*flat, strict=True)
        ],
        "once": once,
        "often": often,
        "torchmetrics": torchmetrics(*flat),
    }
    sides = {name: run for name, run in sides.items() if run is not None}
    times = {name: [] for name in sides}
    for block in range(1 + blocks):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            if block:
                times[name].append(time.perf_counter() - start)
    seconds = {name: statistics.median(values) for name, values in times.items()}
    return {
        "backend": keras.config.backend(),
        "ours": (seconds["often"] - seconds["once"]) / repeats,
        "call": seconds["once"],
        "scipy": seconds["scipy"] * rows / some,
        "torchmetrics": seconds.get("torchmetrics", 0) * rows / some,
        "memory": memory,
        "logits": 2 * x.nbytes / 2**20,
    }


def programs(x, y, repeats):
    """Functions that correlate once, and `1 + repeats` times one after the other."""
    import keras

    from keras_c2kd.ops import kendall_rank_correlation

    def correlate(count):
        def function(x, y):
            krc = kendall_rank_correlation(x, y)
            for _ in range(count - 1):
                x = x + 0.0 * krc[..., None]  # so that none is left out
                krc = kendall_rank_correlation(x, y)
            return krc

        return function

    x, y = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(y)
    run = compiled()
    once, often = run(correlate(1)), run(correlate(1 + repeats))
    return (lambda: once(x, y)), (lambda: often(x, y))


def compiled():
    """What makes a function a program of the backend, and waits for its result."""
    import keras

    if keras.config.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function
    if keras.config.backend() == "jax":
        import jax

        def program(function):
            function = jax.jit(function)
            return lambda *arrays: jax.block_until_ready(function(*arrays))

        return program
    return lambda function: function


def torchmetrics(x, y):
    """torchmetrics correlates columns; None where it is not installed."""
    try:
        import torch
        from torchmetrics.functional import kendall_rank_corrcoef
    except ImportError:
        return None
    if x.shape[-1] > 1000:
        return None  # it compares all pairs at once, which does not fit in memory
    x, y = torch.tensor(x).T, torch.tensor(y).T
    return lambda: kendall_rank_corrcoef(x, y)


def peak():
    """MiB, the most this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
