import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from keras_c2kd.data import SUN_RGBD_DECODERS, PairIndex, decode_pairs, read_sun_rgbd
from tests.data.conftest import jpeg, png, rotate, write_lists


def index_of(labels):
    ids = tuple(str(i) for i in range(len(labels)))
    paths = {"rgb": tuple(f"{i}.jpg" for i in ids)}
    return PairIndex(ids, paths, np.asarray(labels, "int32"), ("a", "b", "c"))


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=60),
    st.floats(0.05, 0.95),
    st.integers(0, 5),
)
def test_a_split_is_a_stratified_partition(labels, fraction, seed):
    index = index_of(labels)
    rest, held_out = index.split(fraction, seed)
    assert sorted(rest.ids + held_out.ids, key=int) == list(index.ids)
    assert index.split(fraction, seed)[1].ids == held_out.ids
    assert all(list(p.ids) == sorted(p.ids, key=int) for p in (rest, held_out))
    for part in (rest, held_out):
        assert [labels[int(i)] for i in part.ids] == list(part.labels)
        assert [f"{i}.jpg" for i in part.ids] == list(part.paths["rgb"])
    for label in set(labels):
        count, held = labels.count(label), list(held_out.labels).count(label)
        assert held == 0 if count == 1 else 1 <= held <= count - 1
        assert count == 1 or abs(held - fraction * count) <= 1


def test_another_seed_holds_out_others():
    index = index_of([0] * 40)
    assert index.split(0.5, 1)[1].ids != index.split(0.5, 2)[1].ids


@pytest.mark.parametrize("fraction", [-0.1, 0.0, 1.0, 1.5])
def test_a_split_of_nothing_is_refused(fraction):
    with pytest.raises(ValueError, match=f"Received: fraction={fraction}"):
        index_of([0, 1]).split(fraction, 0)


def test_colour_depth_and_label_of_a_scene_stay_together(tree):
    for split in read_sun_rgbd(tree).values():
        pairs = decode_pairs(split, SUN_RGBD_DECODERS, 8)
        for number, scene in enumerate(pairs.ids):
            value = 50 + 50 * int(scene[-1])
            assert abs(int(pairs.arrays["rgb"][number].mean()) - value) <= 1
            assert (pairs.arrays["depth"][number] == 10 * value).all()
            assert pairs.class_names[pairs.labels[number]] == (
                "office" if int(scene[-1]) % 2 else "kitchen"
            )


def test_decoding_agrees_with_pillow(miniature):
    index = read_sun_rgbd(miniature)["test"].take([3])
    pairs = decode_pairs(index, SUN_RGBD_DECODERS, 32)
    reference = Image.open(index.paths["rgb"][0]).resize((32, 32), Image.BILINEAR)
    difference = pairs.arrays["rgb"][0].astype(int) - np.asarray(reference).astype(int)
    assert np.abs(difference).mean() < 2.0


GOOD_DEPTH = rotate(np.full((12, 16), 500, "uint16"))
BREAKS = {
    "truncated JPEG": ("rgb", lambda c: c[: len(c) // 2], "JPEG.*cut short"),
    "no JPEG": ("rgb", lambda c: b"hello", "5 bytes beginning with b'hello'"),
    "grey JPEG": ("rgb", lambda c: jpeg(np.zeros((12, 16), "uint8")), "colour JPEG"),
    "PNG for JPEG": ("rgb", lambda c: png(np.zeros((12, 16, 3), "uint8")), "a PNG, 8-"),
    "corrupt JPEG": ("rgb", lambda c: c[:2] + bytes(60) + c[62:], "JPEG.*complete"),
    "missing JPEG": ("rgb", None, "cannot be opened.*No such file"),
    "empty JPEG": ("rgb", lambda c: b"", "0 bytes"),
    "truncated PNG": ("depth", lambda c: c[:-30], "16-bit.*Received: a PNG"),
    "corrupt PNG": ("depth", lambda c: c[:43] + b"!" + c[44:], "16-bit.*a PNG"),
    "empty PNG": ("depth", lambda c: b"", "0 bytes"),
    "start of a PNG": ("depth", lambda c: c[:20], "20 bytes beginning with"),
    "8-bit depth": ("depth", lambda c: png(np.zeros((12, 16), "uint8")), "8-bit grey"),
    "colour depth": ("depth", lambda c: png(np.zeros((12, 16, 3), "uint8")), "RGB"),
    "other size": ("depth", lambda c: png(GOOD_DEPTH[:, :8]), r"depth=\(12, 8\)"),
    "missing": ("depth", None, "cannot be opened.*No such file"),
}


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_file_is_named_or_left_out(tree, case):
    modality, change, words = BREAKS[case]
    index = read_sun_rgbd(tree)["test"]
    broken = index.paths[modality][0]
    with open(broken, "rb") as file:
        content = file.read()
    if change is None:
        os.remove(broken)
    else:
        with open(broken, "wb") as file:
            file.write(change(content))
    with pytest.raises(ValueError, match=words) as error:
        decode_pairs(index, SUN_RGBD_DECODERS, 8)
    message = str(error.value)
    assert broken in message and "Received: " in message and "on_error=skip" in message

    pairs = decode_pairs(index, SUN_RGBD_DECODERS, 8, on_error="skip")
    assert pairs.ids == index.ids[1:] and pairs.labels[0] == index.labels[1]
    assert [path for path, _ in pairs.skipped] == [broken]


def test_sizes_that_differ_name_both_files(tree):
    index = read_sun_rgbd(tree)["test"]
    rgb, depth = index.paths["rgb"][0], index.paths["depth"][0]
    with open(rgb, "wb") as file:
        file.write(jpeg(np.zeros((6, 16, 3), "uint8")))
    with pytest.raises(ValueError) as error:
        decode_pairs(index, SUN_RGBD_DECODERS, 8)
    received = f"Received: rgb=(6, 16) at {rgb}, depth=(12, 16) at {depth}"
    assert str(error.value).endswith(received)


def test_a_folder_in_the_place_of_a_file_is_named(tree):
    index = read_sun_rgbd(tree)["test"]
    os.remove(index.paths["depth"][1])
    os.mkdir(index.paths["depth"][1])
    with pytest.raises(ValueError, match="cannot be opened.*directory") as error:
        decode_pairs(index, SUN_RGBD_DECODERS, 8)
    assert index.paths["depth"][1] in str(error.value)


def test_skipping_tells_the_reason_of_each_in_order(tree):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv2/d/s3"], ["xtion/sun3ddata/b/c/s2"])
    index = read_sun_rgbd(tree, depth="depth")["train"]
    os.remove(index.paths["rgb"][0])
    with open(index.paths["depth"][2], "wb") as file:
        file.write(b"hello")
    pairs = decode_pairs(index, SUN_RGBD_DECODERS, 8, on_error="skip")
    assert pairs.ids == ("kv1/a/s1",) and len(pairs) == 1
    assert pairs.arrays["depth"].max() == 10 * 100 + 1
    (first, why_first), (second, why_second) = pairs.skipped
    assert (first, second) == (index.paths["rgb"][0], index.paths["depth"][2])
    assert "No such file" in why_first and "5 bytes" in why_second


def test_only_the_modalities_that_are_asked_for_are_read(tree):
    index = read_sun_rgbd(tree)["test"]
    os.remove(index.paths["rgb"][0])
    pairs = decode_pairs(index, {"depth": SUN_RGBD_DECODERS["depth"]}, 8)
    assert set(pairs.arrays) == {"depth"} and len(pairs) == 2


def test_an_unknown_on_error_is_refused(tree):
    with pytest.raises(ValueError, match="Received: on_error='ignore'"):
        decode_pairs(read_sun_rgbd(tree)["test"], SUN_RGBD_DECODERS, 8, "ignore")


def test_an_index_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Not one sample.*Received: 0 samples"):
        decode_pairs(index_of([]), SUN_RGBD_DECODERS, 8)


def test_arrays_are_bytes_and_millimetres(tree):
    pairs = decode_pairs(read_sun_rgbd(tree)["test"], SUN_RGBD_DECODERS, 8)
    assert pairs.arrays["rgb"].shape == (2, 8, 8, 3)
    assert pairs.arrays["depth"].shape == (2, 8, 8, 1)
    kinds = {name: array.dtype for name, array in pairs.arrays.items()}
    assert kinds == {"rgb": "uint8", "depth": "uint16"}
    assert pairs.labels.dtype == "int32" and pairs.skipped == []


def test_nothing_readable_is_an_error_even_when_skipping(tree):
    index = read_sun_rgbd(tree)["test"]
    for path in index.paths["rgb"]:
        with open(path, "wb") as file:
            file.write(b"")
    with pytest.raises(ValueError, match="Not one sample.*2 of them broken"):
        decode_pairs(index, SUN_RGBD_DECODERS, 8, on_error="skip")


def test_progress_is_told(tree):
    seen = []
    index = read_sun_rgbd(tree)["test"]
    decode_pairs(index, SUN_RGBD_DECODERS, 8, progress=lambda *n: seen.append(n))
    assert seen == [(1, 2), (2, 2)]
