"""The same training on one device, on several, and in several processes."""

import os
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest

from keras_c2kd.distribution import Replicas, distribute, initialize
from keras_c2kd.distribution import synchronize_batch_norm as synchronize
from tests.data.test_pipeline import decoded
from tests.helpers import conv_net
from tests.integration.distributed import SAMPLES, built, compiled, data
from tests.integration.test_saving import run

BACKEND = keras.config.backend()
SCRIPT = "tests/integration/distributed.py"
needs_jax = pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution")
needs_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute")


@pytest.fixture
def start(tmp_path, pytestconfig):
    """Starts the script; calling what it returns gives the curves and the weights."""
    started = []

    def begin(strategy, *arguments, **environment):
        out = tmp_path / f"{len(started)}.npz"
        process = subprocess.Popen(
            [sys.executable, SCRIPT, strategy, str(out), *arguments],
            cwd=pytestconfig.rootpath,
            env=os.environ | {"PYTHONPATH": ".", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)

        def end():
            output, _ = process.communicate(timeout=300)
            assert process.returncode == 0, output[-2000:]
            return dict(np.load(out))

        return end

    yield begin
    for process in started:
        process.kill()


@pytest.fixture(scope="module")
def known():
    """What one device did, by the environment."""
    return {}


@pytest.fixture
def one_device(start, known):
    def run(**environment):
        key = tuple(environment)
        if key not in known:
            known[key] = start("none", **environment)()
        return known[key]

    return run


def assert_same(one, many):
    assert one.keys() == many.keys()
    for name in one:
        np.testing.assert_allclose(
            many[name], one[name], rtol=1e-3, atol=2e-5, err_msg=name
        )


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("count", ["2", "4"])
def test_data_parallel_takes_the_steps_of_one_device(start, one_device, count):
    many = start("auto", TEST_COMPLETE="1", TEST_DEVICES=count)()
    assert_same(one_device(TEST_COMPLETE="1"), many)


@needs_jax
@pytest.mark.slow
def test_incomplete_samples_are_counted_over_all_devices(start, one_device):
    one, two = one_device(), start("data_parallel", TEST_DEVICES="2")()
    for name in one:
        if not name.startswith("val_"):  # whose last batch is filled
            np.testing.assert_allclose(two[name], one[name], rtol=1e-3, atol=2e-5)


@needs_jax
@pytest.mark.slow
@pytest.mark.parametrize("count", ["1", "2"])
def test_two_processes_take_the_steps_of_one_device(start, one_device, count):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    together = {
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
        "TEST_DEVICES": count,
        "TEST_COMPLETE": "1",
    }
    both = [
        start("auto", KERAS_DISTRIBUTION_PROCESS_ID=str(i), **together)
        for i in range(2)
    ]
    for end in both:
        assert_same(one_device(TEST_COMPLETE="1"), end())


@needs_jax
@pytest.mark.parametrize("training", [False, True])
def test_each_sample_of_a_batch_goes_to_one_process(training):
    from keras_c2kd.backend.jax_devices import _DataParallel
    from keras_c2kd.data import make_batches

    samples = decoded(21)[0]
    batches = make_batches(samples, 8, training, seed=3, epoch=2, replicas=4)
    parts = []
    for process in range(2):
        four = _DataParallel(devices=[f"cpu:{i}" for i in range(4)])
        # As in two processes with two devices each.
        four._num_processes, four._is_multi_process = 2, True
        four._process_id = process
        part = four.distribute_dataset(batches)
        assert int(part.cardinality()) == int(batches.cardinality())
        parts.append(list(part.as_numpy_iterator()))
    for batch, *halves in zip(batches.as_numpy_iterator(), *parts, strict=True):
        for array, *both in zip(
            *map(keras.tree.flatten, (batch, *halves)), strict=True
        ):
            assert len(both[0]) == len(both[1]) == 4
            np.testing.assert_array_equal(np.concatenate(both), array)


@needs_tensorflow
@pytest.mark.slow
@pytest.mark.parametrize("count", ["2", "4"])
def test_mirrored_takes_the_steps_of_one_device(start, one_device, count):
    many = start("auto", "sync", TEST_COMPLETE="1", TEST_DEVICES=count)()
    assert_same(one_device(TEST_COMPLETE="1"), many)


def one_step(samples):
    """Of one device, on some samples of the first batch: its logs and its model."""
    model = compiled(built())
    batch = next(iter(data(SAMPLES, 1)))
    x, y, weights = keras.tree.map_structure(lambda a: a.numpy()[samples], batch)
    logs = model.fit(x, y, sample_weight=weights, shuffle=False, verbose=0).history
    return {name: value for name, (value,) in logs.items()}, model


@needs_tensorflow
@pytest.mark.slow
def test_without_synchronization_batch_norm_is_that_of_a_replica(start, monkeypatch):
    monkeypatch.setenv("TEST_COMPLETE", "1")
    two = start("auto", TEST_DEVICES="2", TEST_ONE_STEP="1")()
    (logs, first), (others, second) = one_step(slice(8)), one_step(slice(8, 16))
    for name in logs:
        mean = (logs[name] + others[name]) / 2
        np.testing.assert_allclose(two[name], [mean], rtol=1e-5, err_msg=name)
    moved = 0
    for i, (ours, other) in enumerate(zip(first.weights, second.weights, strict=True)):
        # A step takes the mean of the gradients; moving statistics stay the first's.
        expected = (ours.numpy() + other.numpy()) / 2 if ours.trainable else ours
        np.testing.assert_allclose(
            two[f"w{i:03d}"], expected, atol=1e-6, err_msg=ours.path
        )
        moved += np.abs(ours.numpy() - other.numpy()).max() > 1e-4
    assert moved > 20  # else halves would be as good as the whole


CALLBACKS = """
import sys
from tests.integration.distributed import split_the_cpu
split_the_cpu(2)
import keras, numpy as np, tensorflow as tf
from keras_c2kd import distribution
from keras_c2kd.callbacks import (
    DistillationWatch, ModalityGapLogger, NonFiniteGuard, TrainingCheckpoint
)
from tests.helpers import distiller, pairs

def built():
    model = distiller(compiled=False)
    mirrored = keras.config.backend() == "tensorflow"
    distribution.synchronize_batch_norm(model, on=mirrored)
    model.compile(keras.optimizers.SGD(0.05, momentum=0.9))
    return model

def batches(x, y):
    return tf.data.Dataset.from_tensor_slices((x, y)).batch(8)

x, y = pairs()
odd = {name: value[:21] for name, value in x.items()}, y[:21]  # cannot be split
with distribution.distribute() as replicas:
    assert replicas.count == 2
    model, checkpoint = built(), TrainingCheckpoint(sys.argv[1])
    callbacks = [NonFiniteGuard(), DistillationWatch(odd), ModalityGapLogger(odd)]
    history = model.fit(
        batches(x, y), epochs=2, callbacks=[*callbacks, checkpoint], verbose=0
    ).history
    assert np.isfinite(history["gap_krc"]).all()
    other = built()
    assert checkpoint.restore(other).epoch == 2
    losses = [m.evaluate(batches(x, y), verbose=0) for m in (model, other)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)
    x["rgb"][9] = np.nan
    try:
        other.fit(batches(x, y), callbacks=[NonFiniteGuard()], verbose=0)
    except FloatingPointError as error:
        print("stopped")
"""


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "torch", reason="trains on one device")
def test_callbacks_work_on_two_devices(tmp_path, pytestconfig):
    printed = run(CALLBACKS, tmp_path / "checkpoints", cwd=pytestconfig.rootpath)
    assert printed.endswith("stopped")


def test_one_device_is_what_auto_finds_here():
    with distribute() as replicas:
        assert replicas == Replicas("none", 1, 0, 1)
        assert keras.distribution.distribution() is None


def test_strategies_of_other_backends():
    others = {"jax": "mirrored", "tensorflow": "data_parallel", "torch": "mirrored"}
    with pytest.raises(ValueError, match=f"backend. Received: .*{others[BACKEND]}"):
        with distribute(others[BACKEND]):
            pass
    with pytest.raises(ValueError, match="one of auto, none.*Received.*'all'"):
        with distribute("all"):
            pass


@pytest.mark.skipif(BACKEND == "jax", reason="JAX trains in several processes")
def test_several_processes_without_jax(monkeypatch):
    initialize()
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(ValueError, match="KERAS_BACKEND=jax"):
        initialize()


def test_a_synchronized_student_is_saved_for_every_backend(tmp_path):
    from keras_c2kd.callbacks.student_checkpoint import save_aside

    model = conv_net(3, nested=True)
    synchronize(model)
    norms = [la for la in model._flatten_layers() if "Batch" in type(la).__name__]
    assert norms and all(norm.synchronized for norm in norms)
    save_aside(model, tmp_path / "student.keras")
    assert all(norm.synchronized for norm in norms)
    loaded = keras.models.load_model(tmp_path / "student.keras")
    for norm in loaded._flatten_layers():
        assert not getattr(norm, "synchronized", False)
