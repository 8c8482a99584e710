"""The cache: packed samples as sharded TFRecords, whole or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_c2kd.data.decoding import BrokenSample
from keras_c2kd.data.modality import Modality
from keras_c2kd.data.order import Order
from keras_c2kd.data.paths import replace_folder
from keras_c2kd.data.samples import Samples

_VERSION = 1
_SHARD = 64 << 20  # bytes
_SHUFFLE = 1 << 30  # bytes in the shuffle buffer at most
_MANIFEST = "cache.json"


class Records:
    """A folder of TFRecords for these samples and these options.

    Args:
        folder: where it is, or will be.
        samples: where the samples lie.
        modalities: name to `Modality`.
        on_error: part of what the cache depends on.

    Attributes:
        kept: positions of the samples that are in it.
        skipped: `(path, reason)` of the others.
    """

    def __init__(
        self,
        folder: Path,
        samples: Samples,
        modalities: Mapping[str, Modality],
        on_error: str,
    ):
        self.folder, self.modalities = folder, modalities
        self.depends_on = {
            "version": _VERSION,
            "source": fingerprint(samples, modalities),
            "samples": len(samples),
            "on_error": on_error,
            "modalities": {n: m.options() for n, m in modalities.items()},
        }
        # As it will be read back: tuples become lists in JSON.
        self.depends_on = json.loads(json.dumps(self.depends_on, default=str))
        self.present = samples.present
        self._read_manifest()

    def _read_manifest(self) -> None:
        try:
            manifest = json.loads((self.folder / _MANIFEST).read_text("utf-8"))
            self.depended_on = manifest["depends_on"]
            self.shards = {str(k): int(v) for k, v in manifest["shards"].items()}
            self.kept = [int(position) for position in manifest["kept"]]
            self.skipped = [(str(p), str(r)) for p, r in manifest["skipped"]]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.depended_on, self.shards, self.kept, self.skipped = None, {}, [], []

    def is_whole(self) -> bool:
        """Made from these samples with these options, and no shard is torn."""
        if self.depended_on != self.depends_on:
            return False
        try:
            sizes = {n: (self.folder / n).stat().st_size for n in self.shards}
        except OSError:
            return False
        return sizes == self.shards

    def write(self, outcomes: Iterable[tuple[int, Any]]) -> None:
        """Writes all samples aside, then puts the folder in place.

        Args:
            outcomes: `(position, packed sample or BrokenSample)`.
        """
        if self.folder.exists() and any(self.folder.iterdir()):
            if not (self.folder / _MANIFEST).exists():
                raise ValueError(
                    "Expected a cache folder that is empty, absent, or an earlier "
                    "cache, which would be replaced. "
                    f"Received: cache_dir={str(self.folder)!r} with other files"
                )
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(
            tempfile.mkdtemp(prefix=f".{self.folder.name}.", dir=self.folder.parent)
        )
        try:
            kept, skipped = self._write_shards(aside, outcomes)
            shards = {p.name: p.stat().st_size for p in sorted(aside.iterdir())}
            manifest = {
                "depends_on": self.depends_on,
                "shards": shards,
                "kept": kept,
                "skipped": skipped,
            }
            (aside / _MANIFEST).write_text(json.dumps(manifest), "utf-8")
            replace_folder(self.folder, aside, self.is_whole)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        self._read_manifest()

    def _write_shards(self, folder, outcomes):
        kept, skipped, writer, room = [], [], None, 0
        for position, outcome in outcomes:
            if isinstance(outcome, BrokenSample):
                skipped.append((outcome.path, str(outcome)))
                continue
            if room <= 0:
                if writer is not None:
                    writer.close()
                number = len(list(folder.iterdir()))
                writer = tf.io.TFRecordWriter(str(folder / f"{number:05d}.tfrecord"))
                room = _SHARD
            record = encode(outcome, len(kept))
            writer.write(record)
            kept.append(position)
            room -= len(record)
        if writer is not None:
            writer.close()
        return kept, skipped

    def batches(
        self,
        batch_size: int,
        drop_remainder: bool,
        order: Order | None,
        start: int,
        count: int,
    ) -> tf.data.Dataset:
        """Batches of packed samples, `{modality: ..., "position": int64}`."""
        files = [str(self.folder / name) for name in sorted(self.shards)]
        shards = tf.data.Dataset.from_tensor_slices(files)
        if order is not None:
            shards = order.shuffle(shards, len(files))
        records = shards.interleave(
            lambda file: tf.data.TFRecordDataset(file, buffer_size=8 << 20),
            cycle_length=1 if order is None else min(4, len(files)),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
        records = records.apply(tf.data.experimental.assert_cardinality(len(self.kept)))
        if order is not None:
            size = sum(self.shards.values()) / max(len(self.kept), 1)
            buffer = min(len(self.kept), max(batch_size, int(_SHUFFLE / size)))
            records = order.shuffle(records, buffer)
        if count > len(self.kept):
            records = records.repeat().take(count)
        batches = records.batch(batch_size, drop_remainder).skip(start)
        # Whole batches are parsed: a few large ops, no loop over samples.
        return batches.map(self._parse, num_parallel_calls=tf.data.AUTOTUNE)

    def _parse(self, serialized):
        text, number = (
            tf.io.FixedLenFeature((), dtype) for dtype in (tf.string, tf.int64)
        )
        features = {**dict.fromkeys(self.modalities, text), "position": number}
        parsed = tf.io.parse_example(serialized, features)
        for name, modality in self.modalities.items():
            parsed[name] = _unpack(parsed[name], modality.spec)
        return parsed


def encode(sample: Mapping[str, np.ndarray], position: int) -> bytes:
    """One packed sample as a serialized `tf.train.Example`."""

    def feature(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = {name: feature(array.tobytes()) for name, array in sample.items()}
    number = tf.train.Int64List(value=[position])
    features["position"] = tf.train.Feature(int64_list=number)
    return tf.train.Example(
        features=tf.train.Features(feature=features)
    ).SerializeToString()


def _unpack(contents, spec):
    dtype = tf.uint8 if spec.dtype == tf.bool else spec.dtype
    flat = tf.io.decode_raw(contents, dtype)
    shape = (contents.shape[0] or -1, *spec.shape)
    return tf.cast(tf.reshape(flat, shape), spec.dtype)


def fingerprint(samples: Samples, modalities: Mapping[str, Modality]) -> str:
    """Changes with the ids, the labels, the sources, and the files behind them."""
    digest = hashlib.sha256()
    digest.update(json.dumps([samples.ids, samples.class_names]).encode())
    digest.update(np.ascontiguousarray(samples.labels).tobytes())
    for name in sorted(modalities):
        digest.update(name.encode())
        source = samples.sources[name]
        arrays = source if isinstance(source, Mapping) else {"": source}
        for key in sorted(arrays):
            array = np.asarray(arrays[key])
            text = array.dtype.kind in "USO"
            digest.update(
                "\0".join(map(str, array.ravel())).encode("utf-8", "surrogatepass")
                if text
                else np.ascontiguousarray(array).tobytes()
            )
            if text and key in ("", "path"):
                digest.update("\0".join(map(_stat, np.unique(array))).encode())
        if name in samples.present:
            digest.update(samples.present[name].tobytes())
    return digest.hexdigest()


def _stat(path: str) -> str:
    """Size and time of a file; what is text and no path has none."""
    try:
        status = Path(path).stat()
    except (OSError, ValueError):
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"
