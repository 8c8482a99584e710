"""What the cells of a contest have written, put together and compared."""

import csv
import dataclasses

import numpy as np

from contest.folder import Cell, Contest
from contest.paired import Difference, difference
from contest.plan import Plan

BASELINES = ("alone", "kd")


@dataclasses.dataclass(frozen=True)
class Row:
    """A method in one direction, by one figure of the task.

    Attributes:
        direction: teacher's and student's modality.
        method: of `METHODS`.
        setting: of the method's `search`.
        figure: which of the task's scores.
        scores: one per seed; none where it diverged with any.
        against: baseline to `Difference`, for those that took part.
        diverged: with how many seeds.
    """

    direction: tuple[str, str]
    method: str
    setting: str
    figure: str
    scores: tuple[float, ...]
    against: dict[str, Difference]
    diverged: int = 0


class Results:
    """All that the cells of a plan have written.

    Args:
        contest: where they are.
        plan: which they are.
        chosen: the setting of each direction and method.
        task: of the recipe.
        split: `"test"`, or `"validation"` for the figure that epochs are chosen by.
    """

    def __init__(
        self, contest: Contest, plan: Plan, chosen: dict, task, split: str = "test"
    ):
        self.contest, self.plan, self.chosen, self.task = contest, plan, chosen, task
        self.split = split
        self.by_cell = {cell: contest.result(cell) for cell in plan.cells(chosen)}
        self.teachers = {c.direction: contest.result(c) for c in plan.teachers()}
        self.gaps = {cell.direction: contest.result(cell) for cell in plan.gaps(chosen)}
        self.check_pairs()

    def cells_of(self, direction, method) -> list[Cell]:
        """One per seed."""
        return [
            c for c in self.by_cell if (c.direction, c.method) == (direction, method)
        ]

    def of(self, direction, method) -> list[dict]:
        """Results, one per seed."""
        return [self.by_cell[cell] for cell in self.cells_of(direction, method)]

    def revisions(self) -> list[str]:
        """Of the code that has trained them."""
        trained = [*self.by_cell.values(), *self.teachers.values()]
        return sorted({result.get("revision") or "unknown" for result in trained})

    def diverged(self, direction, method) -> int:
        """With how many seeds it did."""
        return sum("diverged" in result for result in self.of(direction, method))

    def methods(self, direction) -> list[str]:
        """Those that could be trained with every seed."""
        return [m for m in self.plan.methods if not self.diverged(direction, m)]

    @property
    def directions(self) -> list[tuple[str, str]]:
        """Those where there is something to show."""
        return [pair for pair in self.plan.directions if self.methods(pair)]

    def scores(self, direction, method, figure) -> tuple[float, ...]:
        results = self.of(direction, method)
        if self.split == "validation":
            return tuple(result["validation"]["value"] for result in results)
        return tuple(result["scores"][figure] for result in results)

    def logged(self, direction, method, name) -> np.ndarray:
        """A column of the logs, `(seeds, epochs)`."""
        logs = [self.log(cell) for cell in self.cells_of(direction, method)]
        return np.array([[float(row[name]) for row in log] for log in logs])

    def logs(self, direction, method, name) -> bool:
        """Whether there is such a column."""
        return name in self.log(self.cells_of(direction, method)[0])[0]

    def log(self, cell) -> list[dict]:
        with open(self.contest.at(cell) / "log.csv", newline="") as file:
            return list(csv.DictReader(file))

    def check_pairs(self):
        """All methods of a seed have had the same student and batches."""
        for direction in self.plan.directions:
            for seed in self.plan.seeds:
                seen = {
                    str(result["equal"])
                    for cell, result in self.by_cell.items()
                    if (cell.direction, cell.seed) == (direction, seed)
                    and "diverged" not in result
                }
                if len(seen) > 1:
                    raise ValueError(
                        "Expected the same initial student and the same batches for "
                        f"all methods of seed {seed}. Received: {' and '.join(seen)}"
                    )

    def rows(self) -> list[Row]:
        """The headline figure of all first, then the others."""
        figures = sorted(self.task.columns, key=lambda f: f != self.task.headline)
        if self.split == "validation":
            figures = figures[:1]
        return [
            self.row(direction, method, figure)
            for figure in figures
            for direction in self.plan.directions
            for method in self.plan.methods
        ]

    def row(self, direction, method, figure) -> Row:
        setting, trained = self.chosen[direction, method], self.methods(direction)
        if method not in trained:
            diverged = self.diverged(direction, method)
            return Row(direction, method, setting, figure, (), {}, diverged)
        scores = self.scores(direction, method, figure)
        against = {
            name: difference(scores, self.scores(direction, name, figure))
            for name in BASELINES
            if name in trained and name != method
        }
        return Row(direction, method, setting, figure, scores, against)
