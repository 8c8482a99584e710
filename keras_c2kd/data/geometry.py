"""Crops and flips: drawn once per sample, the same for all of its modalities."""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Crops:
    """How training crops are drawn; every second one on average is mirrored.

    Attributes:
        smallest: the shortest side, as a share of the image's; sides are uniform
            from there to 1.
        ratio: the largest width / height; `log(ratio)` is uniform around 0.
        area: draw the area uniformly instead of the side, from `smallest ** 2` on.
        mirror: how often left and right are swapped.

    Example:

    >>> boxes = IMAGENET_CROPS.draw(5, (1, 2))
    >>> boxes.shape
    TensorShape([5, 4])
    """

    smallest: float = 0.75  # what tells a room often stands at its edge
    ratio: float = 1.0
    area: bool = False
    mirror: float = 0.5

    def draw(self, count: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Draws boxes.

        Args:
            count: how many.
            seed: two integers.

        Returns:
            float32 `(count, 4)`: top, left, bottom, right as fractions of the image,
            left and right swapped where it is mirrored.
        """
        draws = tf.random.stateless_uniform((count, 5), seed)
        if self.area:
            least = self.smallest**2
            side = tf.sqrt(least + (1.0 - least) * draws[:, 0])
        else:
            side = self.smallest + (1.0 - self.smallest) * draws[:, 0]
        stretch = tf.pow(self.ratio, draws[:, 4] - 0.5)  # the root of width / height
        height, width = tf.minimum(side / stretch, 1.0), tf.minimum(side * stretch, 1.0)
        top, left = draws[:, 1] * (1.0 - height), draws[:, 2] * (1.0 - width)
        bottom, right = top + height, left + width
        mirrored = draws[:, 3] < self.mirror
        return tf.stack(
            [
                top,
                tf.where(mirrored, right, left),
                bottom,
                tf.where(mirrored, left, right),
            ],
            axis=1,
        )


# Inception's crops, as torchvision's RandomResizedCrop draws them.
IMAGENET_CROPS = Crops(smallest=0.08**0.5, ratio=4 / 3, area=True)


def crop(
    images: tf.Tensor, boxes: tf.Tensor | None, size: tuple[int, int], method: str
) -> tf.Tensor:
    """Cuts one box out of each image and resizes it.

    Args:
        images: `(B, height, width, C)` of any numeric dtype.
        boxes: float32 `(B, 4)` from `Crops.draw`; `None` takes the whole images.
        size: height and width of the result.
        method: `"bilinear"` or `"nearest"`.

    Returns:
        float32 `(B, *size, C)`.
    """
    batch, channels = images.shape[0], images.shape[-1]
    if boxes is None and tuple(images.shape[1:3]) == tuple(size):
        return tf.cast(images, tf.float32)
    if boxes is None:
        boxes = tf.tile([[0.0, 0.0, 1.0, 1.0]], [tf.shape(images)[0], 1])
    # Outside, crop_and_resize fills in zeros; rounding may put an edge just there.
    boxes = tf.clip_by_value(boxes, 0.0, 1.0)
    cropped = tf.image.crop_and_resize(
        tf.cast(images, tf.float32),  # once, not for each of four neighbours
        boxes,
        tf.range(tf.shape(images)[0]),
        size,
        method,
    )
    return tf.ensure_shape(cropped, (batch, *size, channels))
