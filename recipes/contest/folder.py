"""A contest's folder: its cells, the flags it remembers, who may write to it."""

import dataclasses
from pathlib import Path

from files import lock, read_json
from methods import METHODS, PAPER


@dataclasses.dataclass(frozen=True)
class Cell:
    """One training, or what is done before or after all; a process of its own.

    Attributes:
        teacher: its modality.
        student: its modality.
        method: of `METHODS`, or `"teacher"`, `"data"` or `"gap"`.
        seed: of the cell.
        setting: of the method's `search`; of a gap which second nets there are.
    """

    teacher: str
    student: str
    method: str
    seed: int = 0
    setting: str = PAPER

    @classmethod
    def from_name(cls, name: str) -> "Cell":
        teacher, student, method, seed, setting = name.split("/")
        return cls(teacher, student, method, int(seed), setting)

    @property
    def name(self) -> str:
        """What `from_name` reads back."""
        return "/".join(map(str, dataclasses.astuple(self)))

    @property
    def direction(self) -> tuple[str, str]:
        return self.teacher, self.student

    @property
    def path(self) -> Path:
        """Its folder, below that of the contest."""
        if self.method == "data":
            return Path("data")
        pair = Path("cells") / f"{self.teacher}-to-{self.student}"
        if self.method == "teacher":
            return pair / "teacher"
        if self.method == "gap":
            return pair / f"gap-{self.setting}"
        setting = "" if self.setting == PAPER else f"-{self.setting}"
        return pair / f"{self.method}{setting}" / f"seed{self.seed}"

    @property
    def trains(self) -> bool:
        return self.method not in ("data", "gap")

    def __str__(self):
        if self.method == "data":
            return "reading the data"
        if self.method == "gap":
            return f"{self.teacher} to {self.student}: modality gap"
        setting = "" if self.setting == PAPER else f" {self.setting}"
        title = "teacher" if self.method == "teacher" else METHODS[self.method].title
        return f"{self.teacher} to {self.student}: {title}{setting}, seed {self.seed}"


class Contest:
    """The folder of a contest.

    Args:
        folder: new, or of an earlier command with the same flags.

    Attributes:
        folder: as given.
        cache_dir: where decoded samples are kept.
    """

    def __init__(self, folder: Path, cache_dir: str | None = None):
        self.folder = folder
        self.cache_dir = Path(cache_dir) if cache_dir else folder / "cache"

    def at(self, cell: Cell) -> Path:
        return self.folder / cell.path

    def result(self, cell: Cell) -> dict | None:
        """What a finished cell has written; None of one that is not finished."""
        return read_json(self.at(cell) / "result.json")

    def is_done(self, cell: Cell) -> bool:
        return (self.at(cell) / "result.json").exists()

    def teacher_file(self, cell: Cell) -> Path:
        return self.at(Cell(*cell.direction, "teacher")) / "teacher.keras"

    def lock(self, patience: float = 20.0) -> int:
        """One contest at a time writes to a folder.

        The descriptor is handed down to every cell: a cell that outlives a killed
        contest by a moment still holds the lock.

        Raises:
            ValueError: another one is at work.
        """
        return lock(self.folder, patience)


DATA = Cell("-", "-", "data")
