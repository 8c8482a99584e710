"""ExportReport: what was written, how exactly it computes, how large and how fast."""

import dataclasses
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class ExportedFile:
    """One file, as its own runtime ran it in a process of its own.

    Attributes:
        path: of the file; of the folder, for a SavedModel.
        size: in bytes.
        max_difference: largest absolute difference of a logit to the student's.
        agreement: share of samples (or pixels) whose highest logit is the same.
        latency_ms: median time of one sample in milliseconds, on this machine's CPU.
        accuracy: share of samples (or pixels) that it gets right; `None` without
            labels.
    """

    path: Path
    size: int
    max_difference: float
    agreement: float
    latency_ms: float
    accuracy: float | None = None


@dataclasses.dataclass(frozen=True)
class ExportReport:
    """What `export_student` wrote; `print` it to read it.

    Attributes:
        files: format to `ExportedFile`, of those that are in place.
        failures: format to a sentence, of those that are not.
        accuracy: the student's own; `None` without labels.
        preprocessing_difference: largest absolute difference of a logit to training's
            own pipeline; `None` without `prepared`.

    Example:

    >>> from keras_c2kd.export import ExportedFile, ExportReport
    >>> file = ExportedFile("student.onnx", 314_000, 7e-7, 1.0, 0.31)
    >>> print(ExportReport({"onnx": file}))
    format           kB  difference  agreement     ms  file
    onnx            314       7e-07      1.000   0.31  student.onnx
    """

    files: dict[str, ExportedFile]
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    accuracy: float | None = None
    preprocessing_difference: float | None = None

    def __str__(self) -> str:
        accuracy = "" if self.accuracy is None else f"{'accuracy':>10}"
        lines = [
            f"{'format':<11}{'kB':>8}{'difference':>12}{'agreement':>11}{'ms':>7}"
            f"{accuracy}  file"
        ]
        if accuracy:
            lines.append(f"{'student':<11}{'':>38}{self.accuracy:>10.3f}")
        for name, file in self.files.items():
            accuracy = "" if file.accuracy is None else f"{file.accuracy:>10.3f}"
            lines.append(
                f"{name:<11}{file.size / 1000:>8.0f}{file.max_difference:>12.0e}"
                f"{file.agreement:>11.3f}{file.latency_ms:>7.2f}{accuracy}"
                f"  {Path(file.path).name}"
            )
        lines += [f"{name}: {why}" for name, why in self.failures.items()]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; paths as strings."""
        return {
            "files": {
                name: {**dataclasses.asdict(file), "path": str(file.path)}
                for name, file in self.files.items()
            },
            "failures": dict(self.failures),
            "accuracy": self.accuracy,
            "preprocessing_difference": self.preprocessing_difference,
        }


class ExportError(RuntimeError):
    """A format failed; the others are in place.

    Attributes:
        report: an `ExportReport` of all of them.
    """

    def __init__(self, report: ExportReport):
        self.report = report
        why = "; ".join(f"{name}: {text}" for name, text in report.failures.items())
        place = ", ".join(report.files) or "none"
        super().__init__(f"{why} (in place: {place})")
