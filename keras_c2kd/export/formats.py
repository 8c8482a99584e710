"""The formats, what each is called, and what must be installed for it."""

import dataclasses
import importlib.util
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Format:
    """A file's name, and the packages that write and run it."""

    filename: str
    packages: tuple[str, ...]

    def name(self, int8: bool) -> str:
        """The file's name; one of int8 never replaces one of float32."""
        return self.filename.replace("student", "student_int8" if int8 else "student")


FORMATS = {
    "keras": Format("student.keras", ("keras",)),
    "savedmodel": Format("student_savedmodel", ("tensorflow",)),
    "onnx": Format("student.onnx", ("tensorflow", "tf2onnx", "onnx", "onnxruntime")),
    "litert": Format("student.tflite", ("tensorflow", "ai_edge_litert")),
}


def check_formats(formats: Sequence[str]) -> tuple[str, ...]:
    """The formats asked for, once it is clear that each can be written and run."""
    asked = (formats,) if isinstance(formats, str) else tuple(formats)
    if not asked or set(asked) - set(FORMATS):
        raise ValueError(
            f"Expected `formats` to be some of {tuple(FORMATS)}. Received: "
            f"formats={formats!r}"
        )
    needed = {name: FORMATS[name].packages for name in asked}
    missing = {
        package: name
        for name, packages in needed.items()
        for package in packages
        if importlib.util.find_spec(package) is None
    }
    if missing:
        raise ImportError(
            f"Expected {', '.join(missing)} to be installed for the formats "
            f"{', '.join(dict.fromkeys(missing.values()))}; "
            'pip install "keras_c2kd[export]" brings all. '
            f"Received: formats={asked}"
        )
    return tuple(dict.fromkeys(asked))
