"""Imports TensorFlow without its start-up messages: a recipe's output is for a person.

TF_CPP_MIN_LOG_LEVEL alone no longer silences what is said before its logging starts, so
the error stream is turned away for that moment; exceptions still come through.
"""

import logging
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_stderr, _nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 2)
try:
    import tensorflow as tf
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_nowhere)

if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
    # TensorFlow only feeds data then; the GPU's memory is the other backend's.
    tf.config.set_visible_devices([], "GPU")

# What the package warns of is for that person too; absl would drop it.
_log = logging.getLogger("keras_c2kd")
_log.addHandler(logging.StreamHandler(sys.stdout))
_log.setLevel(logging.WARNING)  # whatever level absl gives to the others
_log.propagate = False


def silence():
    """For all but one of several processes, which would say the same."""
    sys.stdout = open(os.devnull, "w")
    _log.disabled = True
