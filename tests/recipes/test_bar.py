"""The bar of a contest, on a terminal and in a file."""

import fcntl
import os
import pty
import struct
import termios
from types import SimpleNamespace

import pytest
from contest import workers
from contest.folder import DATA, Cell

PAIR = ("depth", "rgb")


@pytest.fixture
def bar(monkeypatch):
    """A bar of two trainings of ten epochs on a terminal of 40 columns, and a clock."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    clock = SimpleNamespace(seconds=0.0)
    ticking = SimpleNamespace(monotonic=lambda: clock.seconds)
    monkeypatch.setattr(workers, "time", ticking)
    with open(slave, "w") as stream:

        def said():
            stream.flush()
            return os.read(master, 4096).decode()

        yield SimpleNamespace(bar=workers.Bar(2, 10, stream), clock=clock, said=said)
    os.close(master)


def test_a_bar_says_how_far_it_is_and_how_long_it_takes(bar):
    cell = Cell(*PAIR, "c2kd", 3)
    bar.bar.done.add(DATA)  # which trains nothing
    bar.bar.show({cell: 0})
    assert bar.said() == f"\r\x1b[K[{' ' * 20}]   0% ... depth t"  # 39 columns
    bar.clock.seconds = 120.0
    bar.bar.show({cell: 5})
    assert bar.said() == f"\r\x1b[K[{'#' * 5}{' ' * 15}]  25% 6 min left "
    bar.bar.show({cell: 5})  # nothing new, nothing drawn
    bar.bar.done.add(cell)
    bar.bar.line("done")
    assert bar.said() == "\r\x1b[K1/2 done\r\n"
    bar.bar.show({Cell(*PAIR, "kd", 3): 9})
    assert "]  95% < 1 min lef" in bar.said()


def test_a_bar_counts_no_epochs_of_an_earlier_command(bar):
    bar.bar.done.add(Cell(*PAIR, "c2kd", 3))
    bar.bar.show({})
    assert " 50% ..." in bar.said()
    bar.clock.seconds = 150.0
    bar.bar.show({Cell(*PAIR, "kd", 3): 5})
    assert " 75% 2 min left" in bar.said()  # at half a minute an epoch, not ten seconds


def test_a_bar_is_silent_in_a_file(tmp_path):
    with open(tmp_path / "log", "w") as stream:
        bar = workers.Bar(2, 10, stream)
        bar.show({Cell(*PAIR, "kd", 3): 5})
        bar.line("done")
    assert (tmp_path / "log").read_text() == "0/2 done\n"
