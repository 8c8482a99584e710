"""A small CrisisMMD: drawn scenes and made-up tweets, laid out as the real one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_c2kd.data.crisismmd import TASKS
from keras_c2kd.data.miniatures.common import write_miniature

_VERSION = 2
_SIDE = 72
_PARTS = {"train": 0.65, "dev": 0.1, "test": 0.25}
_COLUMNS = ("event_name", "tweet_id", "image_id", "tweet_text", "image", "label")
_MORE_COLUMNS = ("label_text", "label_image", "label_text_image")  # not of "damage"
_EVENTS = ("california_wildfires", "hurricane_maria", "iraq_iran_earthquake")

# What a tweet of each class says, and what its picture shows: shape, hue of the shape.
_CLASSES = {
    "affected_individuals": ("families homeless survivors shelter", "disc", 0.05),
    "infrastructure_and_utility_damage": ("bridge collapsed road power", "bars", 0.1),
    "injured_or_dead_people": ("injured hospital killed wounded", "cross", 0.0),
    "not_humanitarian": ("my holiday song concert selfie", "ring", 0.8),
    "other_relevant_information": ("forecast warning update map", "frame", 0.6),
    "rescue_volunteering_or_donation_effort": ("donate rescue help team", "disc", 0.4),
    "vehicle_damage": ("car truck crushed windshield", "bars", 0.65),
    "missing_or_found_people": ("missing found search brother", "cross", 0.3),
}
_EVERYWHERE = "the a in after today people please news storm water so we you".split()
_HOSTILE = (
    '"',
    "'",
    "😢",
    "#pray",
    "@user",
    "https://t.co/xY1",
    "&amp;",
    "…",
    "\\n",
    "Ñ",
)
_DAMAGE = ("little_or_no_damage", "mild_damage", "severe_damage")


def write_crisismmd(
    root: str | os.PathLike,
    num_samples: int = 1200,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Writes a miniature CrisisMMD, or finds the one that was written before.

    A tweet in four says nothing of its class, a picture in four shows another one's
    scene, so each modality knows what the other does not. Some pictures are PNG files
    with an alpha channel called .jpg, and tweets hold quotes, links and emoji, as the
    real ones do.

    Args:
        root: the folder that will hold `data_image/` and the lists.
        num_samples: pairs, at least 80.
        seed: the same seed gives the same files.
        progress: called as `progress(done, total)` after every pair.

    Returns:
        `root`.

    Raises:
        ValueError: too few samples, or `root` holds something that is no miniature.

    Example:

    ```python
    root = write_crisismmd("miniature", num_samples=200)
    splits = read_crisismmd(root, task="humanitarian")
    ```
    """
    if num_samples < 80:
        raise ValueError(
            "Expected at least 80 samples, ten of each class. "
            f"Received: num_samples={num_samples}"
        )
    return write_miniature(
        root,
        {"version": _VERSION, "seed": seed, "num_samples": num_samples},
        num_samples + len(TASKS) * len(_PARTS),
        lambda aside: _write(aside, num_samples, seed, progress),
    )


def _write(root, num_samples, seed, progress):
    rows = []
    for number in range(num_samples):
        rng = np.random.default_rng([seed, number])
        name = tuple(_CLASSES)[number % len(_CLASSES)]
        event = _EVENTS[int(rng.integers(len(_EVENTS)))]
        path = f"data_image/{event}/{10_000 + number}_0.jpg"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(_encode(_draw(_seen(name, rng), rng), number))
        label = {
            "humanitarian": name,
            "informative": "not_informative"
            if name.startswith("not_")
            else "informative",
            "damage": _DAMAGE[2 if "damage" in name else int(rng.integers(2))],
        }
        rows.append(
            (event, f"{10_000 + number}", _tweet(_seen(name, rng), rng), path, label)
        )
        if progress is not None:
            progress(number + 1, num_samples)
    ends = np.cumsum([round(share * num_samples) for share in _PARTS.values()])
    for task in TASKS:
        for part, end, size in zip(_PARTS, ends, np.diff([0, *ends]), strict=True):
            lines = [_line(*row, task) for row in rows[end - size : end]]
            more = _MORE_COLUMNS if task != "damage" else ()
            text = "\n".join(["\t".join(_COLUMNS + more), *lines, ""])
            file = root / f"task_{task}_text_img_{part}.tsv"
            file.write_bytes(text.encode("utf-8"))


def _line(event, tweet, text, image, label, task):
    row = [event, tweet, f"{tweet}_0", text, image, label[task]]
    if task != "damage":  # whose label is of the picture alone
        row += [label[task], label[task], "Positive"]
    return "\t".join(row)


def _seen(name, rng):
    """Three times in four the class itself."""
    return name if rng.random() < 0.75 else tuple(_CLASSES)[int(rng.integers(8))]


def _tweet(name, rng):
    about = _CLASSES[name][0].split()
    words = [
        *rng.choice(about, 2, replace=False),
        *rng.choice(_EVERYWHERE, int(rng.integers(4, 10))),
        *rng.choice(_HOSTILE, int(rng.integers(0, 3))),
    ]
    return " ".join(rng.permutation(words))


def _draw(name, rng):
    """A shape of the class's kind and hue on a sky that fades into the ground."""
    _, shape, hue = _CLASSES[name]
    y, x = np.mgrid[:_SIDE, :_SIDE] / _SIDE - 0.5
    sky, ground = rng.uniform(0.2, 0.9, (2, 3))
    share = np.clip(y * rng.uniform(1, 4) + 0.5, 0, 1)[..., None]
    image = sky * (1 - share) + ground * share
    x0, y0 = rng.uniform(-0.2, 0.2, 2)
    size, turn = rng.uniform(0.15, 0.32), rng.uniform(-0.4, 0.4)
    u = (x - x0) * np.cos(turn) + (y - y0) * np.sin(turn)
    v = (y - y0) * np.cos(turn) - (x - x0) * np.sin(turn)
    inside = {
        "disc": u**2 + v**2 < size**2,
        "ring": np.abs(np.hypot(u, v) - size) < size / 4,
        "cross": (np.minimum(np.abs(u), np.abs(v)) < size / 4)
        & (np.maximum(np.abs(u), np.abs(v)) < size),
        "bars": (np.abs(u) < size) & (np.abs(v) < size) & (np.sin(18 * u / size) > 0),
        "frame": np.abs(np.maximum(np.abs(u), np.abs(v)) - size) < size / 5,
    }[shape]
    turned = (hue + rng.normal(0, 0.04)) % 1.0
    colour = np.clip(np.abs((turned * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    colour = colour * rng.uniform(0.6, 1.0) + rng.uniform(0, 0.2)
    image = np.where(inside[..., None], colour, image)
    return np.clip(255 * (image + rng.normal(0, 0.08, image.shape)), 0, 255)


def _encode(pixels, number):
    """JPEG; one in ten is a PNG with an alpha channel under the same name."""
    pixels = pixels.astype(np.uint8)
    with tf.device("CPU:0"):
        if number % 10:
            return tf.io.encode_jpeg(pixels, quality=90).numpy()
        alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
        alpha[:4] = 0
        return tf.io.encode_png(np.concatenate([pixels, alpha], axis=-1)).numpy()
