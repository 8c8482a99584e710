"""Samples of several modalities: where they lie, before anything is decoded."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """What a reader finds in a dataset: one source per modality, and a label.

    Attributes:
        ids: one name per sample, unique within a dataset.
        sources: modality to what its `Modality.decode` takes, first axis = samples:
            an array (of paths, of text), or a dict of arrays (a path and an offset).
            A missing file is the path `""`.
        labels: int32 `(samples,)`, positions in `class_names`.
        class_names: the names of the classes.
        notes: sentences about what the reader found and left out.
        present: modality to bool `(samples,)`; empty when every sample is complete.

    Example:

    >>> samples = Samples(("a", "b"), {"rgb": np.array(["a.jpg", "b.jpg"])},
    ...                   np.array([0, 1], "int32"), ("kitchen", "office"))
    >>> samples.take([1]).ids
    ('b',)
    """

    ids: tuple[str, ...]
    sources: Mapping[str, Any]
    labels: np.ndarray
    class_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    present: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def source(self, modality: str, position: int) -> Any:
        """What one sample's modality is decoded from."""
        return _map(lambda array: array[position], self.sources[modality])

    def take(self, positions: Sequence[int]) -> Samples:
        """The samples at these positions, in this order."""
        positions = np.asarray(positions, np.int64)
        return dataclasses.replace(
            self,
            ids=tuple(self.ids[i] for i in positions),
            sources={
                modality: _map(lambda array: np.asarray(array)[positions], source)
                for modality, source in self.sources.items()
            },
            labels=self.labels[positions],
            present={name: mask[positions] for name, mask in self.present.items()},
        )

    def split(self, fraction: float, seed: int) -> tuple[Samples, Samples]:
        """Holds out a part of every class, for choosing without the test set.

        Args:
            fraction: how much of each class to hold out, between 0 and 1. Of a
                class with two samples or more at least one is held out and at
                least one stays; a single sample stays.
            seed: the same seed gives the same split.

        Returns:
            `(rest, held_out)`, both in the order of the samples.
        """
        if not 0.0 < fraction < 1.0:
            raise ValueError(
                "`fraction` must lie between 0 and 1, both excluded. "
                f"Received: fraction={fraction}"
            )
        held_out = np.zeros(len(self), bool)
        for label in np.unique(self.labels):
            members = np.flatnonzero(self.labels == label)
            wanted = max(1, round(fraction * len(members)))
            count = min(wanted, len(members) - 1)
            shuffled = np.random.default_rng([seed, label]).permutation(members)
            held_out[shuffled[:count]] = True
        return self.take(np.flatnonzero(~held_out)), self.take(np.flatnonzero(held_out))

    def complete(self, keep_incomplete: bool = False) -> Samples:
        """Leaves out samples that lack a modality, or keeps and marks them.

        Args:
            keep_incomplete: keep samples that have at least one modality, with
                `present` saying which.

        Returns:
            The samples; a note counts what was left out or kept.
        """
        present = {name: _exists(source) for name, source in self.sources.items()}
        has_all = np.logical_and.reduce(list(present.values()))
        if has_all.all():
            return self
        has_any = np.logical_or.reduce(list(present.values()))
        samples = self.take(np.flatnonzero(has_any if keep_incomplete else has_all))
        counts = ", ".join(
            f"{(~mask).sum()} without {m}" for m, mask in present.items()
        )
        done = "kept" if keep_incomplete else "left out"
        note = f"incomplete samples were {done}: {counts}"
        if not keep_incomplete:
            return dataclasses.replace(samples, notes=(*samples.notes, note))
        kept = {name: mask[has_any] for name, mask in present.items()}
        return dataclasses.replace(samples, notes=(*samples.notes, note), present=kept)


def check_found(
    found: int, listed: int, min_found: float, what: str, data_dir: Any
) -> str:
    """The sentence "X of Y listed clips are on disk", or a refusal.

    Args:
        found: how many of the listed samples are on disk.
        listed: how many the list names.
        min_found: the smallest share that is accepted, 0 to 1.
        what: plural, as `"train clips"`.
        data_dir: the dataset's folder, for the message.

    Returns:
        A note for `Samples.notes`.

    Raises:
        ValueError: when fewer were found.
    """
    note = f"{found} of {listed} listed {what} are on disk"
    wanted = max(1, math.ceil(min_found * listed))
    if found < wanted:
        raise ValueError(
            f"Expected at least {wanted} of the {listed} listed {what} on disk; fetch "
            "more of them, or accept fewer with --min_found. "
            f"Received: {found} in data_dir={str(data_dir)!r}"
        )
    return note


def _exists(source: Any) -> np.ndarray:
    """Which samples have this modality: a missing one has an empty path or text."""
    first = source["path"] if isinstance(source, Mapping) else np.asarray(source)
    first = np.asarray(first)
    if first.dtype.kind not in "USO":
        return np.ones(len(first), bool)
    there = first != ""
    return there.all(axis=tuple(range(1, there.ndim)))


def _map(function, source):
    if isinstance(source, Mapping):
        return {name: function(array) for name, array in source.items()}
    return function(source)
