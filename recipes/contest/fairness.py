"""What must be equal for all methods of a seed, as digests that are compared."""

import hashlib
import zlib

import numpy as np
import tensorflow as tf
from recipe import FLAGS
from training import Training

OTHERS = 2**32  # added to a seed: an order of samples that no seed of a contest has


class Witnessed(Training):
    """Notes the initial student, and every batch that is given to it.

    Attributes:
        initial: digest of the student's first weights.
        seen: epoch and step to a digest of the labels and the student's inputs.
        paired: False gives the teacher other samples, which are not looked at.
    """

    def __init__(self, *args):
        super().__init__(*args)
        self.initial, self.seen, self.paired = None, {}, True

    def build(self, role, modality):
        model, tap = super().build(role, modality)
        if role == "student":
            self.initial = digest_of_weights(model)
        return model, tap

    def batches(self, seed, epoch, start=0):
        def note(step, batch):
            inputs, labels = batch
            arrays = [step, inputs[FLAGS.student], labels]
            noted = tf.numpy_function(
                lambda *arrays: self._note(epoch, *arrays), arrays, tf.int64
            )
            with tf.control_dependencies([noted]):
                return inputs, tf.identity(labels)

        batches = super().batches(seed, epoch, start).enumerate(start).map(note)
        if self.paired:
            return batches
        others = super().batches(seed + OTHERS, epoch, start)
        return tf.data.Dataset.zip(batches, others).map(shuffled_apart)

    def _note(self, epoch, step, *arrays):
        digest = 0
        for array in arrays:
            digest = zlib.crc32(np.ascontiguousarray(array), digest)
        self.seen[epoch, int(step)] = digest
        return np.int64(step)

    def noted(self) -> dict[str, str]:
        """What `check_pairs` of a contest's results compares."""
        digest = zlib.crc32(repr(sorted(self.seen.items())).encode())
        return {
            "initial student": self.initial,
            "batches": f"{len(self.seen)}, digest {digest:08x}",
        }

    def with_state(self):
        return [self]

    def get_state(self):
        return [[*when, digest] for when, digest in self.seen.items()]

    def set_state(self, state):
        self.seen = {(epoch, step): digest for epoch, step, digest in state}


def shuffled_apart(batch, other):
    """The student's samples and labels, beside the teacher's inputs of others."""
    (inputs, labels), (of_others, _) = batch, other
    name = FLAGS.teacher
    inputs = {**inputs, name: of_others[name]}
    if name in inputs.get("present", {}):
        inputs["present"] = {**inputs["present"], name: of_others["present"][name]}
    return inputs, labels


def digest_of_weights(model) -> str:
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(np.ascontiguousarray(weight))
    return digest.hexdigest()
