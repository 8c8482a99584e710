"""A script: run one exported file as its user would, with its runtime and no more."""

import importlib
import statistics
import sys
import time

import numpy as np


def keras(path):
    import keras

    model = keras.models.load_model(path, compile=False)
    return lambda x: np.asarray(model.predict_on_batch(x))


def savedmodel(path):
    import tensorflow as tf

    model = tf.saved_model.load(path)
    # The signature that TensorFlow Serving calls.
    serve = model.signatures["serving_default"]
    (name,) = serve.structured_input_signature[1]

    def run(x):
        (logits,) = serve(**{name: tf.constant(x)}).values()
        return logits.numpy()

    run.model = model  # its variables go when it does
    return run


def onnx(path):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def litert(path):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    source = interpreter.get_input_details()[0]["index"]
    shape = None

    def run(x):
        nonlocal shape
        if x.shape != shape:
            interpreter.resize_tensor_input(source, x.shape)
            interpreter.allocate_tensors()
            shape = x.shape
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


def latency(run, x, seconds):
    """Median milliseconds of one sample; the first calls compile or allocate."""
    for _ in range(3):
        run(x)
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        before = time.perf_counter()
        run(x)
        times.append(1000 * (time.perf_counter() - before))
    return statistics.median(times)


def main(name, path, batches, outputs, seconds, modules):
    if not modules:  # the file must be enough: an import of ours fails
        sys.modules["keras_c2kd"] = None
    for module in filter(None, modules.split(",")):
        importlib.import_module(module)
    run = globals()[name](path)
    with np.load(batches) as file:
        inputs = [file[key] for key in file.files]
    single = inputs[0][:1]
    alone = np.array(run(single))
    logits = np.concatenate([np.array(run(x)) for x in inputs])
    latency_ms = latency(run, single, float(seconds))
    np.savez(outputs, alone=alone, logits=logits, latency_ms=latency_ms)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        said = " ".join(str(error).split())  # one line
        sys.exit(f"EXPORT: {type(error).__name__}: {said}")
