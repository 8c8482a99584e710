import os

import numpy as np
import pytest
from PIL import Image

from keras_c2kd.data import decode, read_sun_rgbd
from tests.data.conftest import jpeg, modalities, packed, png, rotate, write_lists


def test_colour_depth_and_label_of_a_scene_stay_together(tree):
    for split in read_sun_rgbd(tree).values():
        pairs = decode(split, modalities(8))
        for number, scene in enumerate(pairs.ids):
            value = 50 + 50 * int(scene[-1])
            assert abs(int(packed(pairs)["rgb"][number].mean()) - value) <= 1
            assert (packed(pairs)["depth"][number] == 10 * value).all()
            assert pairs.class_names[pairs.labels[number]] == (
                "office" if int(scene[-1]) % 2 else "kitchen"
            )


def test_decoding_agrees_with_pillow(miniature):
    index = read_sun_rgbd(miniature)["test"].take([3])
    pairs = decode(index, modalities(32))
    reference = Image.open(index.sources["rgb"][0]).resize((32, 32), Image.BOX)
    difference = packed(pairs)["rgb"][0].astype(int) - np.asarray(reference).astype(int)
    assert np.abs(difference).mean() < 2.0


GOOD_DEPTH = rotate(np.full((12, 16), 500, "uint16"))
BREAKS = {
    "truncated JPEG": ("rgb", lambda c: c[: len(c) // 2], "JPEG.*cut short"),
    "no JPEG": ("rgb", lambda c: b"hello", "5 bytes beginning with b'hello'"),
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
    broken = index.sources[modality][0]
    with open(broken, "rb") as file:
        content = file.read()
    if change is None:
        os.remove(broken)
    else:
        with open(broken, "wb") as file:
            file.write(change(content))
    with pytest.raises(ValueError, match=words) as error:
        decode(index, modalities(8))
    message = str(error.value)
    assert broken in message and "Received: " in message and "on_error=skip" in message

    pairs = decode(index, modalities(8), on_error="skip")
    assert pairs.ids == index.ids[1:] and pairs.labels[0] == index.labels[1]
    assert [path for path, _ in pairs.skipped] == [broken]


def test_sizes_that_differ_name_both_files(tree):
    index = read_sun_rgbd(tree)["test"]
    rgb, depth = index.sources["rgb"][0], index.sources["depth"][0]
    with open(rgb, "wb") as file:
        file.write(jpeg(np.zeros((6, 16, 3), "uint8")))
    with pytest.raises(ValueError) as error:
        decode(index, modalities(8))
    received = f"Received: rgb=(6, 16) at {rgb}, depth=(12, 16) at {depth}"
    assert str(error.value).endswith(received)


def test_a_folder_in_the_place_of_a_file_is_named(tree):
    index = read_sun_rgbd(tree)["test"]
    os.remove(index.sources["depth"][1])
    os.mkdir(index.sources["depth"][1])
    with pytest.raises(ValueError, match="cannot be opened.*directory") as error:
        decode(index, modalities(8))
    assert index.sources["depth"][1] in str(error.value)


def test_skipping_tells_the_reason_of_each_in_order(tree):
    write_lists(tree, ["kv1/a/s0", "kv1/a/s1", "kv2/d/s3"], ["xtion/sun3ddata/b/c/s2"])
    index = read_sun_rgbd(tree, depth="depth")["train"]
    os.remove(index.sources["rgb"][0])
    with open(index.sources["depth"][2], "wb") as file:
        file.write(b"hello")
    pairs = decode(index, modalities(8), on_error="skip")
    assert pairs.ids == ("kv1/a/s1",) and len(pairs) == 1
    assert packed(pairs)["depth"].max() == 10 * 100 + 1
    (first, why_first), (second, why_second) = pairs.skipped
    assert (first, second) == (index.sources["rgb"][0], index.sources["depth"][2])
    assert "No such file" in why_first and "5 bytes" in why_second


def test_only_the_modalities_that_are_asked_for_are_read(tree):
    index = read_sun_rgbd(tree)["test"]
    os.remove(index.sources["rgb"][0])
    pairs = decode(index, {"depth": modalities(8)["depth"]})
    assert set(packed(pairs)) == {"depth", "position"} and len(pairs) == 2


def test_an_unknown_on_error_is_refused(tree):
    with pytest.raises(ValueError, match="Received: on_error='ignore'"):
        decode(read_sun_rgbd(tree)["test"], modalities(8), on_error="ignore")


def test_an_index_of_nothing_is_refused(tree):
    with pytest.raises(ValueError, match="Not one sample.*Received: 0 samples"):
        decode(read_sun_rgbd(tree)["test"].take([]), modalities(8))


def test_arrays_are_bytes_and_millimetres(tree):
    pairs = decode(read_sun_rgbd(tree)["test"], modalities(8))
    assert packed(pairs)["rgb"].shape == (2, 8, 8, 3)
    assert packed(pairs)["depth"].shape == (2, 8, 8, 1)
    kinds = {
        name: array.dtype for name, array in packed(pairs).items() if name != "position"
    }
    assert kinds == {"rgb": "uint8", "depth": "uint16"}
    assert pairs.labels.dtype == "int32" and pairs.skipped == []


def test_nothing_readable_is_an_error_even_when_skipping(tree):
    index = read_sun_rgbd(tree)["test"]
    for path in index.sources["rgb"]:
        with open(path, "wb") as file:
            file.write(b"")
    with pytest.raises(ValueError, match="Not one sample.*2 of them broken"):
        decode(index, modalities(8), on_error="skip")


def test_progress_is_told(tree):
    seen = []
    index = read_sun_rgbd(tree)["test"]
    decode(index, modalities(8), progress=lambda *n: seen.append(n))
    assert seen == [(1, 2), (2, 2)]
