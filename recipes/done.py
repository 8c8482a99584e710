"""Which trainings of a run are done, their scores, and how each was made."""

import numpy as np
from files import read_json, write_json

from keras_c2kd.backend import devices


class Done:
    """`done.json`: an entry per training that was begun, with scores once it is done.

    In a run of several processes each has a file of its own. They agree on what is
    done, or else one that has recorded a training and one that was killed before would
    begin with different trainings, and wait for each other without end.

    Args:
        file: `done.json` of the run's folder.
        names: of all trainings of the run, the same in every process.
    """

    def __init__(self, file, names):
        self.file, self.names = file, names
        # An earlier version wrote scores alone.
        self.entries = {
            name: entry if "made" in entry else {"made": [], "scores": entry}
            for name, entry in (read_json(file) or {}).items()
        }
        self.agree()

    def __contains__(self, name):
        return "scores" in self.entries.get(name, {})

    def __bool__(self):
        return any(name in self for name in self.entries)

    def agree(self):
        """Forgets the scores that not every process has; waits for all of them."""
        ours = np.array([name in self for name in self.names], "int64")
        everyone = devices.from_all_processes(ours).all(axis=0)
        for name, done in zip(self.names, everyone, strict=True):
            if not done and name in self:
                del self.entries[name]["scores"]

    def begin(self, name, made, goes_on):
        """Notes how a training is made from now on.

        Args:
            name: of the training.
            made: of `settings.made`.
            goes_on: from a checkpoint, so that what was noted before still holds.
        """
        before = self.entries[name]["made"] if goes_on and name in self.entries else []
        self.entries[name] = {"made": before if made in before else [*before, made]}
        write_json(self.file, self.entries)

    def end(self, name, scores):
        """Notes that a training is done, in every process when this returns."""
        self.entries[name]["scores"] = scores
        write_json(self.file, self.entries)
        self.agree()

    def scores(self, name):
        return self.entries[name]["scores"]

    def made(self, name):
        """How it was made; more than one entry where it was gone on with otherwise."""
        return self.entries[name]["made"]
