"""Which cells a contest has, and which setting of a method goes on to all seeds."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

from methods import METHODS, PAPER

from contest.folder import Cell, Contest


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        directions: pairs of teacher's and student's modality.
        methods: of `METHODS`.
        seeds: of the students; the teacher has the first.
        search: settings tried for each method; 1 is the paper's alone.
    """

    directions: Sequence[tuple[str, str]]
    methods: Sequence[str]
    seeds: Sequence[int]
    search: int = 1

    def teachers(self) -> list[Cell]:
        return [Cell(*pair, "teacher", self.seeds[0]) for pair in self.directions]

    def settings(self, method: str) -> list[str]:
        """Those that are tried, the paper's first."""
        return list(METHODS[method].search)[: self.search]

    def tried(self, direction, method) -> list[Cell]:
        """The first seed with every setting."""
        seed = self.seeds[0]
        settings = self.settings(method)
        return [Cell(*direction, method, seed, setting) for setting in settings]

    def search_cells(self) -> list[Cell]:
        """All that must be run before `choose`; none without a search."""
        return [
            cell
            for pair in self.directions
            for method in self.methods
            for cell in self.tried(pair, method)
            if self.search > 1
        ]

    def choose(self, contest: Contest) -> dict[tuple[tuple[str, str], str], str]:
        """`{(direction, method): setting}`, by validation with the first seed."""
        return {
            (pair, method): self._best(contest, pair, method)
            for pair in self.directions
            for method in self.methods
        }

    def _best(self, contest, pair, method):
        if self.search == 1:
            return PAPER
        tried = self.tried(pair, method)
        # The first of equal ones, which is the paper's.
        return max(tried, key=lambda cell: on_validation(contest.result(cell))).setting

    def cells(self, chosen: Mapping) -> list[Cell]:
        """Every method on every seed; all methods of a seed before the next one."""
        return [
            Cell(*pair, method, seed, chosen[pair, method])
            for seed in self.seeds
            for pair in self.directions
            for method in self.methods
        ]

    def gaps(self, chosen: Mapping) -> list[Cell]:
        """A cell for each direction where a modality has a net of another seed.

        Nets are those of the student alone, with the setting it has without a search.
        """

        def there_are(direction):
            usual = chosen.get((direction, "alone")) == PAPER
            return usual and len(self.seeds) > 1

        roles = {
            pair: "teacher-student" if there_are(pair[::-1]) else "student"
            for pair in self.directions
            if there_are(pair)
        }
        return [Cell(*pair, "gap", self.seeds[0], of) for pair, of in roles.items()]

    def trainings(self) -> int:
        """How many cells train; the first seed of a chosen setting has been tried."""
        per_method = [
            len(self.settings(method)) + len(self.seeds) - 1 for method in self.methods
        ]
        return len(self.directions) * (1 + sum(per_method))


def on_validation(result: Mapping) -> float:
    """Of its best epoch; a training that diverged has none."""
    return result["validation"]["value"] if "validation" in result else -math.inf
