"""A script: turn a .keras file into other formats, with TensorFlow as the backend.

One way for students of all backends, in a process that dies alone when a converter
does. It imports nothing of keras_c2kd: the file must be enough. What is at its target
is whole, whatever became of those after it.
"""

import importlib
import os
import sys
import tempfile


def savedmodel(model, target, int8):
    if int8:
        model.quantize("int8")
    model.export(target, format="tf_saved_model", verbose=False)


def onnx(model, target, int8):
    import keras

    if int8:
        model.quantize("int8")
    # Given, since Keras asks a loaded model to have been called otherwise.
    given = model.inputs[0]
    spec = keras.InputSpec(shape=given.shape, dtype=given.dtype, name=given.name)
    model.export(target, format="onnx", verbose=False, input_signature=[spec])


def litert(model, target, int8):
    import tensorflow as tf

    options = {"optimizations": [tf.lite.Optimize.DEFAULT]} if int8 else {}
    # No operations of TensorFlow itself, which a phone's runtime does not have.
    operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(
        target, format="litert", verbose=False, target_spec=operations, **options
    )


def main(source, how, *targets_and_modules):
    os.environ["KERAS_BACKEND"] = "tensorflow"
    *targets, modules = targets_and_modules
    for module in filter(None, modules.split(",")):
        importlib.import_module(module)
    import keras

    for name, target in (target.split("=", 1) for target in targets):
        # Loaded each time: quantizing changes a model.
        model = keras.models.load_model(source, compile=False)
        folder, filename = os.path.split(target)
        unfinished = os.path.join(tempfile.mkdtemp(dir=folder), filename)
        globals()[name](model, unfinished, how == "int8")
        os.replace(unfinished, target)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except Exception as error:
        said = " ".join(str(error).split())  # one line
        sys.exit(f"EXPORT: {type(error).__name__}: {said}")
