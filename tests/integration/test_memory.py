"""Memory stays flat over a long training, and over many evaluations."""

import subprocess
import sys

import pytest

PROGRAM = """
import gc, keras, numpy as np
from tests.helpers import distiller, pairs

def resident():
    gc.collect()
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

model = distiller()
x, y = pairs(1600)
fit = lambda: model.fit(x, y, batch_size=8, verbose=0)  # 200 steps
def judge():
    model.evaluate(x, y, batch_size=200, verbose=0)
    model.predict(x["rgb"], batch_size=200, verbose=0)

for work, times in ((fit, 10), (judge, 30)):
    for _ in range(3):  # what is compiled and allocated once
        work()
    before = resident()
    for _ in range(times):
        work()
    print(resident() / before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_is_flat_within_five_percent():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    training, judging = map(float, done.stdout.split()[-2:])
    assert training < 1.05 and judging < 1.05
