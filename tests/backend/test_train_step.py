"""One program for an epoch, and nothing in it that waits for the host."""

import keras
import pytest

from keras_c2kd import C2KD
from tests.helpers import distiller, pairs


def traces_of_two_epochs(samples):
    traces = []

    class Counted(C2KD):
        def train_step(self, *args):
            traces.append(args)
            return super().train_step(*args)

    model = Counted.from_config(distiller().get_config())
    model.compile("sgd", metrics=["accuracy"])
    model.fit(*pairs(samples), batch_size=4, epochs=2, verbose=0)
    return len(traces)


def test_a_ragged_last_batch_is_no_new_trace():
    # JAX compiles for each shape: recipes leave a ragged batch out.
    more = {"tensorflow": 0, "jax": 1, "torch": 2}[keras.config.backend()]
    assert traces_of_two_epochs(11) == traces_of_two_epochs(8) + more


@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="of TensorFlow")
def test_nothing_in_a_step_is_python_tensorflow():
    import tensorflow as tf

    x, y = pairs()
    model = distiller()
    step = tf.function(model.train_step).get_concrete_function((x, y))
    graphs = [step.graph.as_graph_def()]
    kinds = {node.op for graph in graphs for node in graph.node}
    kinds |= {n.op for f in graphs[0].library.function for n in f.node_def}
    assert "AddV2" in kinds
    assert not kinds & {"PyFunc", "EagerPyFunc", "PyFuncStateless"}


@pytest.mark.skipif(keras.config.backend() != "jax", reason="of JAX")
def test_nothing_in_a_step_is_python_jax():
    import jax

    x, y = pairs()
    model = distiller()
    model.train_on_batch(x, y)
    state = model._get_jax_state(
        trainable_variables=True,
        non_trainable_variables=True,
        optimizer_variables=True,
        metrics_variables=True,
    )
    program = str(jax.make_jaxpr(model.train_step)(state, (x, y)))
    assert "reduce_sum" in program and "callback" not in program


@pytest.mark.skipif(keras.config.backend() != "torch", reason="of torch")
def test_no_tensor_is_read_in_a_step_torch(monkeypatch):
    import torch

    read = []
    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__"):
        original = getattr(torch.Tensor, name)

        def note(tensor, *args, name=name, original=original):
            read.append(name)
            return original(tensor, *args)

        monkeypatch.setattr(torch.Tensor, name, note)
    x, y = pairs()
    x, y = keras.tree.map_structure(keras.ops.convert_to_tensor, (x, y))
    model = distiller()
    outputs = model(x, training=True)
    read.clear()
    model.compute_loss(x, y, outputs)
    assert read == []
