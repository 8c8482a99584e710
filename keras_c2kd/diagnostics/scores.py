"""What is kept of a batch: sums per sample, never images and never logits."""

import numpy as np
from keras import ops

from keras_c2kd.diagnostics.batches import Batch
from keras_c2kd.ops import kendall_rank_correlation, non_target_kl_divergence

BINS = 20
PAIRS = {
    "across": ("teacher", "student"),
    "within_teacher": ("teacher", "other_teacher"),
    "within_student": ("student", "other_student"),
}


class Scores:
    """Sums of each score over the positions of a sample, batch after batch.

    The pixels of an image are not independent; with sums per sample, standard errors
    are over samples. A sample without a position that counts is none.
    """

    def __init__(self):
        self._batches = []
        self.histograms = {}
        self.num_classes = None
        self.incomplete = 0

    def add(self, batch: Batch) -> None:
        """Adds what a batch says."""
        counted = batch.counted
        scores = _scores(np.where(counted, batch.labels, 0), batch.logits)
        sums = {
            name: np.where(counted, score, 0.0).sum(axis=1, dtype="float64")
            for name, score in {**scores, "positions": counted}.items()
        }
        self._batches.append({k: v[sums["positions"] > 0] for k, v in sums.items()})
        for pair in PAIRS.keys() & scores.keys():
            counts = _histogram(scores[pair][counted])
            self.histograms[pair] = self.histograms.get(pair, 0) + counts
        self.num_classes = batch.logits["teacher"].shape[-1]
        self.incomplete += batch.incomplete

    @property
    def samples(self) -> int:
        """How many samples have at least one position that counts."""
        return sum(len(batch["positions"]) for batch in self._batches)

    @property
    def positions(self) -> int:
        return int(self._sums("positions").sum())

    def mean(self, name: str) -> float:
        """Over all positions."""
        return float(self._sums(name).sum() / self._sums("positions").sum())

    def difference(self, one: str, two: str) -> tuple[float, float]:
        """Difference of two means, and its standard error, paired, over samples.

        With `d_i` the sum of a sample's differences and `n_i` its positions:

            d = sum d_i / sum n_i,   e^2 = N / (N - 1) sum (d_i - d n_i)^2 / (sum n_i)^2

        For `n_i = 1`, `e` is the standard deviation of `d_i` over the root of `N`.
        """
        paired, positions = self._sums(one) - self._sums(two), self._sums("positions")
        mean, count = paired.sum() / positions.sum(), len(paired)
        if count < 2:
            return float(mean), float("nan")
        square = np.sum((paired - mean * positions) ** 2) * count / (count - 1)
        return float(mean), float(np.sqrt(square) / positions.sum())

    def _sums(self, name):
        return np.concatenate([batch[name] for batch in self._batches])


def _scores(labels, logits):
    """Each score by name, `(B, P)`."""
    teacher, student = logits["teacher"], logits["student"]
    predicted = teacher.argmax(axis=-1), student.argmax(axis=-1)
    teacher_right, student_right = (p == labels for p in predicted)
    scores = {
        "teacher_right": teacher_right,
        "student_right": student_right,
        "both_right": teacher_right & student_right,
        "only_teacher_right": teacher_right & ~student_right,
        "only_student_right": student_right & ~teacher_right,
        "neither_right": ~(teacher_right | student_right),
        "same_prediction": predicted[0] == predicted[1],
        "teacher_probability": _target_probability(teacher, labels),
        "student_probability": _target_probability(student, labels),
        "teacher_to_student_kl": _non_target_kl(teacher, student, labels),
        "student_to_teacher_kl": _non_target_kl(student, teacher, labels),
    }
    for role, z in logits.items():
        scores[f"{role}_normalized"] = _sums_to_one(z)
    for pair, (one, two) in PAIRS.items():
        if two in logits:
            krc = kendall_rank_correlation(logits[one], logits[two])
            krc = ops.convert_to_numpy(krc).astype("float64")
            scores |= {pair: krc, f"{pair}_square": krc**2, f"{pair}_above": krc > 0}
    return scores


def _target_probability(logits, labels):
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    target = np.take_along_axis(shifted, labels[..., None], axis=-1)[..., 0]
    return target / shifted.sum(axis=-1)


def _non_target_kl(teaching, learning, labels):
    labels = labels.astype("int32")
    return ops.convert_to_numpy(non_target_kl_divergence(teaching, learning, labels))


def _sums_to_one(z):
    """Where a row is rather probabilities than logits."""
    return (z >= 0).all(axis=-1) & (np.abs(z.sum(axis=-1) - 1) < 1e-2)


def _histogram(krc):
    # With few classes KRC lies on the bins' edges, give or take a float32 rounding.
    bins = np.floor((krc + 1) * BINS / 2 + 1e-5).astype("int64")
    return np.bincount(np.minimum(bins, BINS - 1), minlength=BINS)
