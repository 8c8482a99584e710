import struct
import tracemalloc
import zlib

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from keras_c2kd.data.matlab import read_mat
from tests.conftest import SHARED

DATA = SHARED / "data"
REAL = {
    "nyu_depth_v2/splits.mat": ("trainNdxs", "testNdxs"),
    "nyu_depth_v2/classMapping40.mat": ("className", "mapClass", "allClassName"),
    "sun_rgbd/SUNRGBDtoolbox/traintestSUNRGBD/allsplit.mat": ("alltrain", "alltest"),
}


def plain(array):
    """SciPy wraps text in arrays of its own: only what is in them is compared."""
    if array.dtype == object:
        return [plain(cell) for cell in array.ravel()]
    return array.tolist() if array.dtype.kind != "U" else str(array.item())


@pytest.mark.parametrize("file", REAL)
def test_real_files_are_read_as_scipy_reads_them(file):
    if not (DATA / file).exists():
        pytest.skip("the real files are not beside the checkout (../shared)")
    ours, theirs = read_mat(DATA / file, REAL[file]), scipy.io.loadmat(DATA / file)
    for name in REAL[file]:
        assert ours[name].shape == theirs[name].shape
        assert plain(ours[name]) == plain(theirs[name])


@given(
    st.sampled_from("f4 f8 i1 u1 i2 u2 i4 u4 i8 u8".split()).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=2, max_dims=3))
    ),
    st.booleans(),
)
def test_numbers_of_every_class_come_back(tmp_path_factory, numbers, compressed):
    file = tmp_path_factory.mktemp("mat") / "a.mat"
    scipy.io.savemat(file, {"x": numbers, "y": 1}, do_compression=compressed)
    read = read_mat(file, ["x"])["x"]
    assert read.dtype == numbers.dtype
    np.testing.assert_array_equal(read, numbers)


@pytest.mark.parametrize("compressed", [False, True])
def test_cells_hold_text_numbers_and_cells(tmp_path, compressed):
    inner, cells = np.empty((1, 1), object), np.empty((2, 2), object)
    inner[0, 0] = "käse"
    cells[:] = [["wall", ""], [np.eye(2), inner]]
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"other": "x", "c": cells}, do_compression=compressed)
    read = read_mat(file, ["c"])["c"]
    assert read.shape == (2, 2) and str(read[0, 0]) == "wall"
    assert read[0, 1].size == 0 or str(read[0, 1]) == ""
    np.testing.assert_array_equal(read[1, 0], np.eye(2))
    assert str(read[1, 1][0, 0]) == "käse"


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(kind, shape, *parts, name=b"x"):
    head = element(6, struct.pack("<II", kind, 0))
    head += element(5, struct.pack(f"<{len(shape)}i", *shape)) + element(1, name)
    return element(14, head + b"".join(parts))


def mat_file(*elements):
    return b"a file".ljust(124) + b"\x00\x01IM" + b"".join(elements)


def deep(levels):
    cell = matrix(6, (1, 1), element(9, bytes(8)))
    for _ in range(levels):
        cell = matrix(1, (1, 1), cell)
    return cell


FAULTS = {
    "text": (b"hello", "no header"),
    "nothing": (b"", "no header"),
    "MATLAB 7.3": (b" " * 124 + b"\x00\x02IM", "no header"),
    "no variable": (mat_file(), "no variable x"),
    "other name": (mat_file(matrix(6, (0, 0), element(9, b""), name=b"y")), "no var"),
    "ends early": (mat_file(struct.pack("<II", 14, 999)), "ends early"),
    "torn tag": (mat_file(b"\x0e\0\0"), "ends early"),
    "no zlib": (mat_file(struct.pack("<II", 15, 4) + b"abcd"), "damaged"),
    "few numbers": (mat_file(matrix(6, (9, 9), element(9, bytes(8)))), "with 8 bytes"),
    "many cells": (mat_file(matrix(1, (1, 2**30))), "cell array of shape"),
    "minus": (mat_file(matrix(6, (-1, 2), element(9, b""))), r"shape \(-1, 2\)"),
    "struct": (mat_file(matrix(2, (1, 1), element(5, bytes(8)))), "class 2"),
    "deep": (mat_file(deep(9)), "nested too deep"),
    "rows of text": (mat_file(matrix(4, (2, 2), element(16, b"abcd"))), "text of 4"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_what_is_wrong_is_said(tmp_path, case):
    content, words = FAULTS[case]
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_mat(tmp_path / "a.mat", ["x"])


def test_a_bomb_takes_no_memory(tmp_path):
    packed = zlib.compress(bytes(1 << 30), 9)
    file = tmp_path / "a.mat"
    file.write_bytes(mat_file(struct.pack("<II", 15, len(packed)) + packed))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="far too large"):
            read_mat(file, ["x"])
        assert tracemalloc.get_traced_memory()[1] < 300e6
    finally:
        tracemalloc.stop()


def test_damage_in_what_is_compressed_is_never_read(tmp_path):
    file = tmp_path / "a.mat"
    numbers = np.random.default_rng(0).integers(0, 99, (40, 1)).astype(float)
    scipy.io.savemat(file, {"x": numbers}, do_compression=True)
    content = file.read_bytes()
    for at in range(136, len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        file.write_bytes(damaged)
        try:
            read = read_mat(file, ["x"])["x"]
        except ValueError:
            continue
        np.testing.assert_array_equal(read, numbers)
