"""Differences, agreement and accuracy of logits."""

import numpy as np

VOID = 255  # the label of pixels without a class, beyond 255 classes a class as others


def agreement(one: np.ndarray, two: np.ndarray) -> float:
    """Share of samples (or pixels) whose highest logit is the same."""
    return float(np.mean(one.argmax(-1) == two.argmax(-1)))


def accuracy(logits: np.ndarray, labels) -> float | None:
    """Share of labelled samples (or pixels) whose highest logit is the label's."""
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.shape != logits.shape[:-1] or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Expected `labels` to be integers of shape {logits.shape[:-1]}. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    labelled = (labels >= 0) & ((labels != VOID) | (logits.shape[-1] > VOID))
    return float(np.mean(logits.argmax(-1)[labelled] == labels[labelled]))


def largest_difference(ours: np.ndarray, expected: np.ndarray) -> float:
    """Largest absolute difference; infinite where one is no number, or of shapes."""
    if ours.shape != expected.shape:
        return float("inf")
    difference = np.abs(ours.astype("float64") - expected.astype("float64"))
    return float(np.max(np.where(np.isnan(difference), np.inf, difference)))
