"""How one modality gets from its files to a model's input."""

from __future__ import annotations

import abc
import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import tensorflow as tf

from keras_c2kd.data.image import describe_image


@dataclasses.dataclass(frozen=True)
class Draws:
    """The random numbers of one training batch.

    Attributes:
        boxes: float32 `(B, 4)`, top, left, bottom, right as fractions of the image,
            left and right swapped to mirror; the same for every spatial modality.
        seed: int32 `(2,)`, another one for every modality.
    """

    boxes: tf.Tensor
    seed: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Modality(abc.ABC):
    """Base class; a subclass is a frozen dataclass whose fields are its options.

    A sample is decoded and packed once, in parallel, and may be cached then; whole
    batches are prepared in every epoch. All three are TensorFlow graph code, without
    `keras.ops` and without `py_function`.

        decode(source) -> whatever the file holds
        pack(decoded)  -> compact, of one fixed shape and dtype: `spec`
        prepare(packed batch, draws) -> float (or integer) model input

    Attributes:
        kind: `"image"`, `"frames"`, `"spectrogram"`, `"tokens"` or `"labels"`: which
            encoder can take it.
        expected: what a file should be, in words, for messages.
        spatial: its pixels belong together with those of other spatial modalities, so
            that decoded sizes must agree and crops are shared.
        in_graph: False where `decode` is Python (HDF5): such samples are kept in
            memory or cached, never decoded anew in every epoch.
    """

    kind: ClassVar[str] = "image"
    expected: ClassVar[str] = "a file"
    spatial: ClassVar[bool] = False
    in_graph: ClassVar[bool] = True

    @property
    @abc.abstractmethod
    def spec(self) -> tf.TensorSpec:
        """Shape and dtype of one packed sample."""

    @property
    @abc.abstractmethod
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one prepared sample, what a model is built for."""

    @abc.abstractmethod
    def decode(self, source: Any) -> Any:
        """One sample as its file holds it; `source` is one entry of `sources`."""

    def size_of(self, decoded: Any) -> tf.Tensor:
        """int32 `(2,)`, height and width in the file of a spatial modality."""
        return tf.shape(decoded)[:2]

    def pack(self, decoded: Any) -> tf.Tensor:
        """One sample in the shape and dtype of `spec`."""
        return decoded

    def prepare(self, packed: tf.Tensor, draws: Draws | None = None) -> tf.Tensor:
        """A batch of model input; augmented when there are `draws`."""
        return packed

    def where(self, source: Any) -> str:
        """The file to look at when something is wrong."""
        return str(source["path"] if isinstance(source, dict) else source)

    def describe(self, source: Any) -> str:
        """What is there instead of what was expected."""
        return describe_image(Path(self.where(source)).read_bytes())

    def save(self, folder: Path) -> None:  # noqa: B027 - most leave nothing
        """Leaves in a run folder what inference needs to make inputs, if anything."""

    def options(self) -> dict[str, Any]:
        """All that changes what `pack` returns, for the cache's manifest."""
        return {"class": type(self).__name__, **dataclasses.asdict(self)}
