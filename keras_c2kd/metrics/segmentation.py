"""The figures of semantic segmentation, from one confusion matrix."""

from typing import Any

import numpy as np


def segmentation_scores(confusion: Any) -> dict[str, float]:
    """Mean intersection over union, pixel accuracy and mean accuracy.

    A confusion matrix is added up over batches, so that the figures are those of all
    pixels together and not means over images. With `n_ij` pixels of class `i` that were
    taken for `j`:

        IoU_i       = n_ii / (sum_j n_ij + sum_j n_ji - n_ii)
        mean_iou    = mean of IoU_i over classes that are there or were predicted
        pixel_acc   = sum_i n_ii / sum_ij n_ij
        mean_acc    = mean of n_ii / sum_j n_ij over classes that are there

    Args:
        confusion: Counts, shape `(C, C)`, rows = labels, columns = predictions; void
            pixels are not in it.

    Returns:
        `{"mean_iou": ..., "pixel_accuracy": ..., "mean_accuracy": ...}`, 0 to 1.

    Raises:
        ValueError: a matrix that is not square, or counts nothing.

    Example:

    >>> from keras_c2kd.metrics import segmentation_scores
    >>> scores = segmentation_scores([[3, 1], [0, 4]])
    >>> scores["mean_iou"], scores["pixel_accuracy"]
    (0.775, 0.875)

    Reference:
        J. Long, E. Shelhamer, T. Darrell, "Fully Convolutional Networks for Semantic
        Segmentation", CVPR 2015, section 5.
    """
    confusion = np.asarray(confusion, np.float64)
    if confusion.ndim != 2 or len(set(confusion.shape)) != 1 or not confusion.any():
        raise ValueError(
            "Expected the counts of a confusion matrix, one row and one column per "
            "class, with at least one pixel. Received: confusion of shape "
            f"{confusion.shape}, sum {confusion.sum():g}"
        )
    right, labelled = np.diag(confusion), confusion.sum(axis=1)
    union = labelled + confusion.sum(axis=0) - right
    return {
        "mean_iou": float(np.mean(right[union > 0] / union[union > 0])),
        "pixel_accuracy": float(right.sum() / confusion.sum()),
        "mean_accuracy": float(np.mean(right[labelled > 0] / labelled[labelled > 0])),
    }


def confusion_matrix(labels: Any, logits: Any, ignore_class: int | None = None) -> Any:
    """Counts of pixels by label (rows) and by the class of the largest logit.

    Args:
        labels: Integers, shape `(B, ...)`.
        logits: Shape `(B, ..., C)`.
        ignore_class: The label of void pixels; they are not counted.

    Returns:
        int64 NumPy array `(C, C)`.

    Raises:
        ValueError: labels out of range.

    Example:

    >>> from keras_c2kd.metrics import confusion_matrix
    >>> confusion_matrix([0, 1, 255], [[2.0, 1.0]] * 3, ignore_class=255).tolist()
    [[1, 0], [1, 0]]
    """
    logits, labels = np.asarray(logits), np.asarray(labels).ravel()
    classes = logits.shape[-1]
    predicted = logits.reshape(-1, classes).argmax(axis=-1)
    if ignore_class is not None:
        counted = labels != ignore_class
        labels, predicted = labels[counted], predicted[counted]
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"Expected labels from 0 to {classes - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
    cells = np.bincount(classes * labels.astype(np.int64) + predicted)
    cells = np.pad(cells, (0, classes**2 - len(cells)))
    return cells.reshape(classes, classes)
