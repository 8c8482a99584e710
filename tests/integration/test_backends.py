"""The same weights and batch give the same numbers on every backend."""

import json

import keras
import numpy as np
import pytest

from tests.helpers import distiller, pairs
from tests.integration.test_saving import run

ONE_STEP = """
import json, sys, numpy as np
from tests.helpers import distiller, pairs
x, y = pairs()
model = distiller()
weights = np.load(sys.argv[1])
model.set_weights([weights[f"arr_{i}"] for i in range(len(weights.files))])
weight = np.linspace(0.5, 1.5, len(y)).astype("float32")
evaluated = model.evaluate(x, y, batch_size=24, return_dict=True, verbose=0)
logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
norms = [float(np.linalg.norm(w)) for w in model.get_weights()]
print(json.dumps([evaluated, {k: float(v) for k, v in logs.items()}, norms]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_one_step_is_the_same_everywhere(tmp_path, backend, pytestconfig):
    pytest.importorskip(backend)
    if backend == keras.config.backend():
        pytest.skip("this is the backend that the others are compared with")
    x, y = pairs()
    model = distiller()
    np.savez(tmp_path / "weights.npz", *model.get_weights())
    printed = run(
        ONE_STEP, tmp_path / "weights.npz", backend=backend, cwd=pytestconfig.rootpath
    )
    evaluated, logs, norms = json.loads(printed)
    ours = model.evaluate(x, y, batch_size=24, return_dict=True, verbose=0)
    weight = np.linspace(0.5, 1.5, len(y)).astype("float32")
    our_logs = model.train_on_batch(x, y, sample_weight=weight, return_dict=True)
    assert evaluated.keys() == ours.keys() and logs.keys() == our_logs.keys()
    for name in ours:
        np.testing.assert_allclose(evaluated[name], ours[name], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(logs[name], our_logs[name], rtol=1e-5, atol=1e-6)
    our_norms = [float(np.linalg.norm(w)) for w in model.get_weights()]
    np.testing.assert_allclose(norms, our_norms, rtol=1e-5)
