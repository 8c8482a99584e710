"""How the rank correlations of single samples are spread, epoch by epoch."""

import keras
import numpy as np
from training import counts

from keras_c2kd.ops import kendall_rank_correlation

MOST = 1024  # samples or pixels of validation that are looked at


class KrcHistogram(keras.callbacks.Callback):
    """Counts validation samples by the rank correlation that selection goes by.

    It is that of the proxies, or of the logits where a method has no proxies; methods
    that log no `krc` are left out.

    Args:
        data: a `loading.Data`.
    """

    def __init__(self, data):
        super().__init__()
        self.data, self.counts, self.logits = data, [], None
        self.edges = bins(data.classes)

    def on_epoch_end(self, epoch, logs=None):
        if "krc" not in (logs or {}):
            return
        self.logits = self.logits or BothLogits(self.model)
        values = np.concatenate([*self.values()])[:MOST]
        self.counts.append(np.histogram(values, self.edges)[0].tolist())

    def get_state(self):
        """For a `TrainingCheckpoint`."""
        return self.counts

    def set_state(self, state):
        """What `get_state` gave in a run that was stopped."""
        self.counts = state

    def result(self):
        """Edges of the bins, and counts `(epochs, bins)`."""
        return {"edges": self.edges.tolist(), "counts": self.counts}

    def values(self):
        seen = 0
        for inputs, labels in self.data.validation:
            if seen >= MOST:
                return
            logits = self.logits.predict_on_batch(
                keras.tree.map_structure(np.asarray, inputs)
            )
            krc = keras.ops.convert_to_numpy(kendall_rank_correlation(*logits))
            krc = krc[counts(inputs, labels, self.data.classes)]
            seen += len(krc)
            yield krc


def bins(classes, most=32):
    """Edges of bins that hold equally many of the values that there are.

    Of C classes there are P = C (C - 1) / 2 pairs, and rank correlations in steps of
    2 / P; bins that do not fit to them would show stripes.
    """
    pairs = classes * (classes - 1) // 2
    values = -(-(pairs + 1) // most)  # in a bin
    edges = np.arange(-pairs - 1, pairs + 2 * values, 2 * values) / pairs
    return np.append(edges[edges < 1.0], 1.0 + 1 / pairs)


class BothLogits(keras.Model):
    """Of a distiller in training, as a model of its own that `predict` compiles."""

    def __init__(self, distiller):
        super().__init__()
        self.distiller = distiller

    def call(self, inputs):
        outputs = self.distiller(inputs, training=False)
        return [
            outputs.get(f"{role}_proxy_logits", outputs[f"{role}_logits"])
            for role in ("teacher", "student")
        ]
