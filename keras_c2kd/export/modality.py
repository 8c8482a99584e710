"""The preprocessing of a modality that a student was trained with."""

from typing import Any

import keras

from keras_c2kd.export.image import depth_preprocessing, image_preprocessing
from keras_c2kd.export.waveform import waveform_preprocessing

_SOUND = ("rate", "seconds", "window", "hop", "style")
_SOUND += ("stored_seconds", "standardize", "decibels")


def preprocessing_for(
    modality: Any, height: int | None = None, width: int | None = None
) -> keras.Model | None:
    """What `export_student` puts before a student that was trained on a modality.

    Args:
        modality: of `keras_c2kd.data`, as `Rgb(64)`, with the options of training.
        height: of the images that users have; `None` takes any.
        width: of the images that users have; `None` takes any.

    Returns:
        `image_preprocessing`, `depth_preprocessing` or `waveform_preprocessing` with
        its options. `None` for `Tokens`: tokenizers cannot be exported, token ids are
        the input.

    Raises:
        ValueError: another modality.

    Example:

    ```python
    from keras_c2kd.data import Rgb

    export_student(student, "shipped", images, preprocessing=preprocessing_for(Rgb(64)))
    ```
    """
    from keras_c2kd import data

    any_size = {"height": height, "width": width}
    match modality:
        case data.Rgb():
            stored = modality.stored_size or None
            return image_preprocessing(modality.size, stored_size=stored, **any_size)
        case data.Frames():
            stored, frames = modality.stored_size or None, modality.frames
            return image_preprocessing(
                modality.size, frames=frames, stored_size=stored, **any_size
            )
        case data.Digits():
            return image_preprocessing(
                modality.size, channels=1, stored_size=28, **any_size
            )
        case data.NyuRgb():
            return image_preprocessing(modality.size, shrink="antialias", **any_size)
        case data.Depth():
            stored = modality.stored_size or None
            return depth_preprocessing(modality.size, stored_size=stored, **any_size)
        case data.NyuDepth():
            return depth_preprocessing(modality.size, max_metres=65.535, **any_size)
        case data.Spectrogram():
            options = {name: getattr(modality, name) for name in _SOUND}
            return waveform_preprocessing(**options)
        case data.Tokens():
            return None
    raise ValueError(
        "Expected a modality of keras_c2kd.data: Rgb, Frames, Digits, NyuRgb, Depth, "
        f"NyuDepth, Spectrogram or Tokens. Received: {type(modality).__name__}"
    )
