"""The order of training samples, and the random numbers of their augmentation."""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Order:
    """What is drawn anew in every epoch.

    Attributes:
        seed: fixes it.
        epoch: which one; `None`: every iteration over a dataset is the next.
    """

    seed: int
    epoch: int | None = None

    @property
    def of_epoch(self) -> int:
        """A seed of its own for each epoch."""
        if self.epoch is None:
            return self.seed
        words = np.random.SeedSequence([self.seed % 2**64, self.epoch])
        return int(words.generate_state(1)[0] >> 1)  # tf.data wants 31 bits

    def positions(self, count: int, start: int = 0) -> tf.data.Dataset:
        """0 to `count - 1`; positions, not samples, so every order is equally likely.

        With an epoch, the first `start` of them are left out.
        """
        if self.epoch is None:
            positions = tf.data.Dataset.range(count)
            return positions.shuffle(count, self.seed, reshuffle_each_iteration=True)
        order = np.random.default_rng(self.of_epoch).permutation(count)
        return tf.data.Dataset.from_tensor_slices(order[start:])

    def shuffle(self, dataset: tf.data.Dataset, buffer: int) -> tf.data.Dataset:
        """For elements that can only be read one after the other."""
        return dataset.shuffle(
            buffer, self.of_epoch, reshuffle_each_iteration=self.epoch is None
        )

    def numbers(self) -> tf.data.Dataset:
        """Without end, an int64 pair for each batch."""
        if self.epoch is None:
            numbers = tf.data.Dataset.random(self.seed, rerandomize_each_iteration=True)
            return numbers.batch(2)
        # The augmentation mixes the bits.
        return tf.data.Dataset.counter().map(lambda n: tf.stack([self.of_epoch, n]))
