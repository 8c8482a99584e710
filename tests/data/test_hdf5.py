import zlib

import h5py
import numpy as np
import pytest

from keras_c2kd.data import hdf5
from keras_c2kd.data.hdf5 import check_frames, read_frame


def write(path, chunks=(1, 5, 4), shape=(7, 9, 6), **options):
    values = np.random.default_rng(0).integers(0, 999, shape).astype("u2")
    if chunks:
        options = {"chunks": chunks, "compression": "gzip", **options}
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("x", data=values, **options)
    return values


@pytest.mark.parametrize(
    ("chunks", "options"),
    [
        (None, {}),
        ((1, 9, 6), {}),
        ((1, 5, 4), {}),
        ((3, 2, 6), {}),
        ((16, 16, 16), {"maxshape": (None, None, None)}),
        ((2, 9, 3), {"compression": None}),
    ],
)
def test_frames_are_those_that_h5py_wrote(tmp_path, chunks, options):
    path = str(tmp_path / "a.mat")
    values = write(path, chunks, **options)
    assert check_frames(path, ("x",)) == {"x": {"shape": [7, 9, 6], "dtype": "<u2"}}
    for index in (0, 1, 6, 2, 3, 4, 5):
        np.testing.assert_array_equal(read_frame(path, "x", index), values[index])


def test_a_file_that_was_replaced_is_opened_anew(tmp_path):
    path = str(tmp_path / "a.mat")
    write(path)
    read_frame(path, "x", 0)
    other = str(tmp_path / "b.mat")
    values = write(other, (2, 9, 6), (3, 9, 6))
    # In place, as a download that goes on: the library knows files by their inode.
    (tmp_path / "a.mat").write_bytes((tmp_path / "b.mat").read_bytes())
    np.testing.assert_array_equal(read_frame(path, "x", 2), values[2])


def test_frames_of_shared_chunks_are_unpacked_once(tmp_path, monkeypatch):
    path = str(tmp_path / "a.mat")
    values, unpacked = write(path, (7, 9, 6)), []
    chunk = hdf5._chunk
    monkeypatch.setattr(hdf5, "_chunk", lambda *a: unpacked.append(a) or chunk(*a))
    for index in range(7):
        np.testing.assert_array_equal(read_frame(path, "x", index), values[index])
    assert len(unpacked) == 1


def external(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2, 3), "u2", external=[("/etc/passwd", 0, 12)])


def virtual(path):
    write(path.with_name("other.mat"), shape=(2, 3), chunks=None)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((2, 3), "u2")
        layout[:] = h5py.VirtualSource(path.with_name("other.mat"), "x", (2, 3))
        file.create_virtual_dataset("x", layout)


def linked(path):
    write(path.with_name("other.mat"))
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(path.with_name("other.mat"), "x")


def group(path):
    with h5py.File(path, "w") as file:
        file.create_group("x")


def text(path):
    with h5py.File(path, "w") as file:
        file["x"] = ["words"]


def missing_chunk(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("x", (4, 5), "u2", chunks=(1, 5))
        dataset[:3] = 1


def huge_frame(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (4, 1 << 40), "u2", chunks=(1, 1 << 10))


def huge_chunk(path):
    with h5py.File(path, "w") as file:
        shape = (4, 1 << 26)
        file.create_dataset("x", shape, "u2", chunks=shape, compression="gzip")


def cut(path):
    write(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) - 300])


FAULTS = {
    "external": (external, "in other files"),
    "virtual": (virtual, "in other files"),
    "linked": (linked, "no dataset x in the file itself"),
    "group": (group, "no dataset"),
    "text": (text, "type object"),
    "no such": (lambda path: write(path.with_suffix(".b")), "FileNotFoundError"),
    "no HDF5": (lambda path: path.write_text("hello"), "OSError"),
    "shuffled": (lambda path: write(path, shuffle=True), "filters"),
    "missing chunk": (missing_chunk, "3 of 4 chunks"),
    "huge frame": (huge_frame, "too large a frame"),
    "huge chunk": (huge_chunk, "chunks of"),
    "cut": (cut, "OSError|cut short"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_is_said(tmp_path, case):
    make, words = FAULTS[case]
    make(tmp_path / "a.mat")
    with pytest.raises(ValueError, match=words):
        check_frames(str(tmp_path / "a.mat"), ("x",))


@pytest.mark.parametrize("stored", [b"x" * 40, b"", "bomb", "short"])
def test_a_damaged_chunk_is_an_error_and_no_zeros(tmp_path, stored):
    sizes = {"bomb": 1 << 16, "short": 4}
    stored = zlib.compress(bytes(sizes[stored])) if stored in sizes else stored
    path = str(tmp_path / "a.mat")
    write(path)
    with h5py.File(path, "r+") as file:
        file["x"].id.write_direct_chunk((2, 5, 0), stored or b"\0")
    with pytest.raises(ValueError, match=r"Received: /x with .* at \(2, 5, 0\)"):
        read_frame(path, "x", 2)
    assert read_frame(path, "x", 3).shape == (9, 6)


def test_the_other_process_may_die(tmp_path, monkeypatch):
    script = tmp_path / "dies.py"
    script.write_text("import os; os.abort()")
    monkeypatch.setattr(hdf5, "__file__", str(script))
    with pytest.raises(ValueError, match="library stops with exit status -6"):
        check_frames("a.mat", ("x",))
    script.write_text("while True: pass")
    monkeypatch.setattr(hdf5, "_SECONDS", 0.5)
    with pytest.raises(ValueError, match="never ends"):
        check_frames("a.mat", ("x",))
