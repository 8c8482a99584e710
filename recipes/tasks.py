"""What a run is judged by: one label per sample, or one per pixel."""

import numpy as np

VOID = 255  # pixels without a label


class Classification:
    """Top-1 accuracy, and the mean over classes that the scene sets report."""

    columns = {"top1": "top-1", "mean_class": "mean class"}
    ignore_class = None
    headline = "top1"
    monitor = "val_accuracy"
    unit = "samples"

    def loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def metrics(self, classes):
        return ["accuracy"]

    def scores(self, confusion):
        """Figures from a confusion matrix, rows = labels."""
        seen = confusion.sum(axis=1) > 0
        recall = np.diag(confusion)[seen] / confusion.sum(axis=1)[seen]
        top1 = np.trace(confusion) / confusion.sum()
        return {"top1": float(top1), "mean_class": float(recall.mean())}


class Segmentation:
    """Mean intersection over union, pixel and mean accuracy; void pixels left out."""

    columns = {
        "mean_iou": "mIoU",
        "pixel_accuracy": "pixel acc.",
        "mean_accuracy": "mean acc.",
    }
    ignore_class = VOID
    headline = "mean_iou"
    monitor = "val_mean_io_u"
    unit = "pixels"

    def loss(self):
        import keras

        return keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, ignore_class=VOID
        )

    def metrics(self, classes):
        import keras

        return [
            keras.metrics.MeanIoU(
                classes, name="mean_io_u", ignore_class=VOID, sparse_y_pred=False
            )
        ]

    def scores(self, confusion):
        """Figures from a confusion matrix of pixels, rows = labels."""
        from keras_c2kd.metrics import segmentation_scores

        return segmentation_scores(confusion)
