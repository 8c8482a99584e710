"""The model card that lies beside a student's files."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_c2kd.export.report import ExportReport

FIELDS = {
    "data": "Data",
    "teacher": "Teacher",
    "student": "Student",
    "method": "Method",
    "seeds": "Seeds",
    "metrics": "Metrics",
    "versions": "Versions",
    "command": "Command",
}


def model_card(
    folder: str | os.PathLike,
    fields: Mapping[str, Any],
    report: ExportReport | None = None,
) -> Path:
    """Writes `student.md`: what a student is, where it comes from, how good it is.

    What nobody recorded is said to be so, rather than left out.

    Args:
        folder: where the student's files are.
        fields: `data`, `teacher`, `student`, `method`, `seeds`, `metrics`, `versions`
            and `command`, each a text, a number, a list, or a dict (a table); others
            of your own come after them. `name` is the title.
        report: of `export_student`: the files as a table.

    Returns:
        The path of the card.

    Example:

    >>> import tempfile
    >>> from keras_c2kd.export import model_card
    >>> path = model_card(tempfile.mkdtemp(), {"seeds": [0, 1], "method": "C2KD"})
    >>> path.name, "## Data\\n\\nnot recorded" in path.read_text()
    ('student.md', True)

    Reference:
        M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
    """
    own = {k: k.replace("_", " ").capitalize() for k in fields if k not in FIELDS}
    titles = {**FIELDS, **own}
    titles.pop("name", None)
    parts = [f"# {fields.get('name', 'Student')}"]
    for name, title in titles.items():
        value = fields.get(name)
        text = _code(value) if name == "command" and value else _text(value)
        parts.append(f"## {title}\n\n{text}")
    if report is not None:
        parts.append(f"## Files\n\n{_files(report)}")
    path = Path(folder) / "student.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(".student.md.writing")
    aside.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    os.replace(aside, path)
    return path


def _text(value):
    if value is None or (hasattr(value, "__len__") and not len(value)):
        return "not recorded"
    if isinstance(value, Mapping):
        return _table(("", ""), [(k, _cell(v)) for k, v in value.items()])
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "\n".join(f"- {_cell(item)}" for item in value)
    return _cell(value)


def _code(command):
    return f"```bash\n{command}\n```"


def _files(report):
    """Only what is in place; each figure is of its own runtime."""
    header = ("format", "file", "kB", "largest difference", "agreement", "ms", "acc.")
    rows = [
        (
            name,
            f"`{file.path.name}`",
            f"{file.size / 1000:.0f}",
            f"{file.max_difference:.1g}",
            f"{file.agreement:.3f}",
            f"{file.latency_ms:.2f}",
            "-" if file.accuracy is None else f"{file.accuracy:.3f}",
        )
        for name, file in report.files.items()
    ]
    return _table(header, rows)


def _table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    cells = ([_escaped(cell) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in cells)


def _cell(value):
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_cell(v)}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_cell, value))
    return "not recorded" if value is None else str(value)


def _escaped(cell):
    return " ".join(str(cell).replace("|", "\\|").split())
