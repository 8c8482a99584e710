"""Cells in processes of their own, a few at a time, with one bar for all of them."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from contest.folder import Cell, Contest

POLL = 0.1  # seconds


class Workers:
    """Runs cells until all are done or have failed.

    Every cell is a fresh process, so that nothing depends on what ran before it, on
    how many run at once, or on whether the contest was killed in between.

    Args:
        contest: whose cells.
        count: how many run at a time.
        command: runs a cell when `--cell=...` is added.
        lock: descriptor that cells inherit.
        bar: a `Bar`.
    """

    def __init__(self, contest: Contest, count: int, command: list[str], lock, bar):
        self.contest, self.count, self.command = contest, count, command
        self.lock, self.bar = lock, bar
        self.running: dict[Cell, subprocess.Popen] = {}
        self.failed: list[Cell] = []

    def run(self, cells: Iterable[Cell]) -> None:
        """Runs those that are not done yet, in this order."""
        cells = list(dict.fromkeys(cells))
        self.bar.done |= {cell for cell in cells if self.contest.is_done(cell)}
        waiting = [cell for cell in cells if not self.contest.is_done(cell)]
        try:
            while waiting or self.running:
                while waiting and len(self.running) < self.count:
                    cell = waiting.pop(0)
                    self.running[cell] = self.start(cell)
                self.bar.show(self.epochs_of_running())
                time.sleep(POLL)
                self.collect()
        finally:
            self.stop()

    def start(self, cell: Cell) -> subprocess.Popen:
        folder = self.contest.at(cell)
        folder.mkdir(parents=True, exist_ok=True)  # a killed cell left checkpoints
        with open(folder / "output.txt", "wb") as file:
            return subprocess.Popen(
                [*self.command, f"--cell={cell.name}"],
                stdin=subprocess.PIPE,  # closed when this process is gone
                stdout=file,
                stderr=subprocess.STDOUT,
                pass_fds=(self.lock,),
                start_new_session=True,  # Ctrl-C is for this process to handle
                env=environment(self.count),
            )

    def collect(self) -> None:
        """Takes note of cells that have ended."""
        for cell, process in list(self.running.items()):
            if process.poll() is None:
                continue
            del self.running[cell]
            process.stdin.close()
            if process.returncode == 0 and self.contest.is_done(cell):
                self.bar.done.add(cell)
                diverged = "diverged" in self.contest.result(cell)
                self.bar.line(f"{cell}: {'diverged' if diverged else 'done'}")
            else:
                self.failed.append(cell)
                self.bar.line(f"{cell}: failed")

    def stop(self) -> None:
        """Ends what still runs, after Ctrl-C; it goes on from its checkpoints."""
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait()
            process.stdin.close()
        self.running.clear()

    def epochs_of_running(self) -> dict[Cell, int]:
        return {c: epochs_in(self.contest.at(c) / "log.csv") for c in self.running}


def epochs_in(log: Path) -> int:
    """Epochs that a cell has finished."""
    try:
        return max(0, len(log.read_text("utf-8").splitlines()) - 1)
    except FileNotFoundError:
        return 0


def environment(count: int) -> dict[str, str]:
    """Of a cell: several share a GPU's memory, and hashes are not drawn anew."""
    result = {**os.environ, "PYTHONHASHSEED": "0"}
    if count > 1:
        result.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        result.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return result


def last_words(contest: Contest, cell: Cell) -> str:
    """The last line that a cell has printed, which says what is wrong."""
    output = contest.at(cell) / "output.txt"
    lines = output.read_text("utf-8", "replace").split("\n")
    said = [line.strip() for line in lines if line.strip()]
    return said[-1] if said else "it ended without a word"


class Bar:
    """Progress over a whole contest, in epochs of all trainings.

    Args:
        total: how many cells that train.
        epochs: of each of them.
    """

    def __init__(self, total: int, epochs: int, stream=None):
        self.total, self.epochs = total, epochs
        self.stream = stream or sys.stdout
        self.done: set[Cell] = set()
        self.started, self.done_before, self.shown = time.monotonic(), None, ""

    def show(self, running: dict[Cell, int]) -> None:
        """Draws the bar again where it has changed; on a terminal only."""
        if not self.stream.isatty():
            return
        done = self.epochs * sum(cell.trains for cell in self.done)
        if self.done_before is None:
            self.done_before = done
        epochs = min(done + sum(running.values()), self.epochs * self.total)
        share = epochs / (self.epochs * self.total)
        cells = "; ".join(
            f"{cell} ({epoch}/{self.epochs})" if cell.trains else str(cell)
            for cell, epoch in running.items()
        )
        text = f"[{'#' * int(20 * share):<20}] {share:4.0%} {self.left(epochs)} {cells}"
        if text != self.shown:
            width = os.get_terminal_size(self.stream.fileno()).columns
            print(f"\r\x1b[K{text[: width - 1]}", end="", flush=True, file=self.stream)
            self.shown = text

    def left(self, epochs: int) -> str:
        """How long it may still take, at the pace so far."""
        new = epochs - self.done_before
        if new < 3:
            return "..."
        seconds = (time.monotonic() - self.started) / new
        minutes = seconds * (self.epochs * self.total - epochs) / 60
        return f"{minutes:.0f} min left" if minutes >= 1 else "< 1 min left"

    def line(self, text: str) -> None:
        """A line above the bar."""
        clear = "\r\x1b[K" if self.stream.isatty() else ""
        count = sum(cell.trains for cell in self.done)
        print(f"{clear}{count}/{self.total} {text}", flush=True, file=self.stream)
        self.shown = ""
