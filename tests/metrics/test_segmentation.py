import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from keras_c2kd.metrics import confusion_matrix, segmentation_scores


def by_hand(labels, predicted, classes):
    """Each figure with sets of pixels, class by class."""
    ious, accuracies = [], []
    for c in range(classes):
        true, said = labels == c, predicted == c
        if (true | said).any():
            ious.append((true & said).sum() / (true | said).sum())
        if true.any():
            accuracies.append((predicted[true] == c).mean())
    return {
        "mean_iou": np.mean(ious),
        "pixel_accuracy": (labels == predicted).mean(),
        "mean_accuracy": np.mean(accuracies),
    }


@given(
    arrays("int32", (2, 3, 4), elements=st.sampled_from([0, 1, 3, 4, 255])),
    st.integers(0, 99),
)
def test_figures_are_those_of_sets_of_pixels_and_of_keras(labels, seed):
    labels[0, 0, 0] = 1  # one pixel at least is not void
    logits = np.random.default_rng(seed).normal(size=(2, 3, 4, 5)).astype("float32")
    scores = segmentation_scores(confusion_matrix(labels, logits, ignore_class=255))
    counted = labels != 255
    expected = by_hand(labels[counted], logits.argmax(-1)[counted], 5)
    assert scores == pytest.approx(expected)
    metric = keras.metrics.MeanIoU(5, ignore_class=255, sparse_y_pred=False)
    metric.update_state(labels, logits)
    assert scores["mean_iou"] == pytest.approx(float(metric.result()), abs=1e-6)


def test_batches_add_up(rng):
    labels = rng.integers(0, 6, (8, 5, 5))
    logits = rng.normal(size=(8, 5, 5, 6))
    parts = [confusion_matrix(labels[i : i + 3], logits[i : i + 3]) for i in (0, 3, 6)]
    whole = confusion_matrix(labels, logits)
    np.testing.assert_array_equal(sum(parts), whole)
    assert whole.sum() == labels.size and whole.dtype == "int64"


@pytest.mark.parametrize("label", [-1, 6])
def test_labels_out_of_range_are_refused(rng, label):
    with pytest.raises(ValueError, match=f"0 to 5.*Received: labels .*{label}"):
        confusion_matrix([0, label], rng.normal(size=(2, 6)))


@pytest.mark.parametrize("confusion", [np.zeros((3, 3)), np.ones((2, 3)), np.ones(4)])
def test_what_counts_nothing_is_refused(confusion):
    with pytest.raises(ValueError, match="Received: confusion of shape"):
        segmentation_scores(confusion)
