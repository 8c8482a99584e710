import shutil
import tracemalloc
from collections import Counter

import numpy as np
import pytest

from keras_c2kd.data import Rgb, decode, read_crisismmd, write_crisismmd
from keras_c2kd.data.crisismmd import read_rows
from tests.conftest import SHARED
from tests.data.conftest import mutate, packed

EMOJI = SHARED / "data" / "emoji_crisismmd_layout"
TRAIN = "task_humanitarian_text_img_train.tsv"
TEST = "task_humanitarian_text_img_test.tsv"
COLUMNS = "event_name tweet_id image_id tweet_text image label".split()
HOSTILE = "he said \"no' \r 😢 ,;\\t\x0b #tag https://t.co/x \u202e \u0000 end"


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    return write_crisismmd(tmp_path_factory.mktemp("data") / "mini", num_samples=120)


@pytest.fixture
def tree(miniature, tmp_path):
    return shutil.copytree(miniature, tmp_path / "data")


def edit(root, name, line, change):
    """Changes one line (from 1) of a list, given as its fields."""
    lines = (root / name).read_text("utf-8").split("\n")
    lines[line - 1] = "\t".join(change(lines[line - 1].split("\t")))
    (root / name).write_text("\n".join(lines), "utf-8")


@pytest.mark.skipif(not EMOJI.exists(), reason="the emoji pairs are not in ../shared")
def test_the_real_pairs():
    splits = read_crisismmd(EMOJI)
    sizes = {part: len(samples) for part, samples in splits.items()}
    assert sizes == {"train": 1078, "validation": 164, "test": 336}
    assert len(splits["train"].class_names) == 8
    for part, name in (("train", "train"), ("validation", "dev"), ("test", "test")):
        samples = splits[part]
        # pandas-free oracle: the file is plain enough to be cut at tabs.
        lines = (
            (EMOJI / f"task_humanitarian_text_img_{name}.tsv").read_text().split("\n")
        )
        rows = [line.split("\t") for line in lines[1:] if line]
        assert [row[2] for row in rows] == list(samples.ids)
        assert [row[3] for row in rows] == list(samples.sources["text"])
        named = [samples.class_names[label] for label in samples.labels]
        assert [row[5] for row in rows] == named
        paths = samples.sources["image"]
        ends = [path.endswith(row[4]) for path, row in zip(paths, rows, strict=True)]
        assert all(ends)
    decoded = decode(splits["test"], {"image": Rgb(72)})
    assert not decoded.skipped
    corner = packed(decoded)["image"][:, 0, 0]
    assert (corner == 255).mean() > 0.8  # transparent there, laid on white


def test_the_miniature_has_all_tasks_and_every_picture_is_read(miniature):
    for task, classes in (("humanitarian", 8), ("informative", 2), ("damage", 3)):
        splits = read_crisismmd(miniature, task=task)
        assert [len(splits[p]) for p in ("train", "validation", "test")] == [78, 12, 30]
        assert len(splits["train"].class_names) == classes
    assert not decode(splits["train"], {"image": Rgb(16)}).skipped
    damage = miniature / "task_damage_text_img_train.tsv"
    assert damage.read_text("utf-8").split("\n")[0].split("\t") == COLUMNS
    texts = " ".join(splits["train"].sources["text"])
    assert '"' in texts and "😢" in texts and "https://" in texts


def test_text_is_what_people_type(tree):
    edit(tree, TRAIN, 3, lambda row: [*row[:3], HOSTILE, *row[4:]])
    text = read_crisismmd(tree)["train"].sources["text"][1]
    assert text == "he said \"no' 😢 ,;\\t #tag https://t.co/x \u202e end"


@pytest.mark.parametrize(
    "change", [lambda t: "\ufeff" + t, lambda t: t.replace("\n", "\r\n")]
)
def test_byte_order_mark_and_line_ends_of_windows(tree, change):
    before = read_rows(tree / TRAIN)
    text = change((tree / TRAIN).read_text("utf-8"))
    (tree / TRAIN).write_bytes(text.encode("utf-8"))
    assert read_rows(tree / TRAIN) == before


def with_field(name, value):
    at = COLUMNS.index(name)
    return lambda row: [*row[:at], value, *row[at + 1 :]]


FAULTS = {
    "a tab in a text": (TRAIN, with_field("tweet_text", "a\tb"), "9 columns.*line 5"),
    "a missing column": (TRAIN, lambda row: row[:-1], "9 columns.*line 5"),
    "no label": (TRAIN, with_field("label", ""), "line 5.*a label"),
    "a label of test alone": (TEST, with_field("label", "flood"), "train list.*line 5"),
    "an absolute path": (TRAIN, with_field("image", "/etc/passwd"), "below.*line 5"),
    "a path that leads out": (TRAIN, with_field("image", "../x.jpg"), "below.*line 5"),
    "twice in train": (TRAIN, with_field("image_id", "10000_0"), "line 5 is in"),
    "in train and test": (TEST, with_field("image_id", "10000_0"), "line 5 is in"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_is_named_with_its_line(tree, case):
    name, change, words = FAULTS[case]
    edit(tree, name, 5, change)
    with pytest.raises(ValueError, match=words) as error:
        read_crisismmd(tree)
    assert name in str(error.value) and "Received: " in str(error.value)


def test_another_header_or_no_text_at_all_is_refused(tree):
    content = (tree / TRAIN).read_bytes()
    (tree / TRAIN).write_bytes(content.replace(b"tweet_text", b"text", 1))
    with pytest.raises(ValueError, match="columns image_id.*line 1"):
        read_crisismmd(tree)
    (tree / TRAIN).write_bytes(content.replace(b"label_text", b"label", 1))
    with pytest.raises(ValueError, match="label, each once.*line 1"):
        read_crisismmd(tree)
    (tree / TRAIN).write_bytes(content[:900] + b"\xff" + content[900:])
    with pytest.raises(ValueError, match="UTF-8.*line"):
        read_crisismmd(tree)
    (tree / TRAIN).unlink()
    with pytest.raises(ValueError, match="looked for"):
        read_crisismmd(tree)
    with pytest.raises(ValueError, match="Received: task='fires'"):
        read_crisismmd(tree, task="fires")


def test_columns_may_stand_in_another_order(tree):
    before = facts(read_crisismmd(tree)["train"])
    rows = [line.split("\t") for line in (tree / TRAIN).read_text("utf-8").split("\n")]
    text = "\n".join("\t".join([*row[::-1], ""] if row[1:] else row) for row in rows)
    (tree / TRAIN).write_text(text, "utf-8")
    assert facts(read_crisismmd(tree)["train"]) == before


def test_the_lists_may_be_where_their_archive_puts_them(tree, tmp_path):
    before = facts(read_crisismmd(tree, task="damage")["test"])
    (tree / "crisismmd_datasplit_all").mkdir()
    for path in tree.glob("task_*.tsv"):
        path.rename(tree / "crisismmd_datasplit_all" / path.name)
    assert facts(read_crisismmd(tree, task="damage")["test"]) == before
    shutil.move(tree / "crisismmd_datasplit_all", tmp_path / "lists")
    (tree / "crisismmd_datasplit_all").symlink_to(tmp_path / "lists")
    with pytest.raises(ValueError, match="symlink leads out"):
        read_crisismmd(tree)


def test_pictures_that_are_gone_are_counted(tree):
    train = read_crisismmd(tree)["train"]
    for path in train.sources["image"][:3]:
        (tree / path).unlink()
    left = read_crisismmd(tree)["train"]
    assert left.ids == train.ids[3:] and "75 of 78 listed train" in left.notes[0]
    kept = read_crisismmd(tree, keep_incomplete=True)["train"]
    assert kept.ids == train.ids and not kept.present["image"][:3].any()
    with pytest.raises(ValueError, match="at least 77 of the 78.*Received: 75"):
        read_crisismmd(tree, min_found=0.98)


def test_a_link_out_of_the_dataset_is_refused(tree, tmp_path):
    path = read_crisismmd(tree)["train"].sources["image"][0]
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tree / path).unlink()
    (tree / path).symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(ValueError, match="symlink leads out"):
        read_crisismmd(tree)


def lines_of(content):
    """The raw lines of a list by image_id, as far as they have one."""
    rows = [line.split(b"\t") for line in content.split(b"\n")[1:]]
    return {row[2].decode("latin-1"): row for row in rows if len(row) > 2}


def test_mutated_lists_are_read_or_named(tree):
    content = (tree / TRAIN).read_bytes()
    rng, outcomes = np.random.default_rng(5), Counter()
    whole = facts(read_crisismmd(tree)["train"])
    before = lines_of(content)
    for _ in range(300):
        mutated = mutate(content, rng)
        (tree / TRAIN).write_bytes(mutated)
        try:
            train = facts(read_crisismmd(tree)["train"])
        except ValueError as error:
            assert str(tree) in str(error) and "Received: " in str(error)
            outcomes["named"] += 1
            continue
        outcomes["read"] += 1
        # A row whose bytes are as they were means what it meant: nothing is shifted.
        after = lines_of(mutated)
        same = [name for name in train if before.get(name) == after.get(name, 0)]
        assert {name: train[name] for name in same} == {n: whole[n] for n in same}
        assert len(same) > 70
    assert outcomes["named"] > 20 and outcomes["read"] > 20


def facts(samples):
    return {
        name: (samples.class_names[label], text, path)
        for name, label, text, path in zip(
            samples.ids,
            samples.labels,
            samples.sources["text"],
            samples.sources["image"],
            strict=True,
        )
    }


def test_one_long_text_costs_its_own_length_alone(tree):
    tracemalloc.start()
    edit(tree, TRAIN, 3, lambda row: [*row[:3], "x" * 300_000, *row[4:]])
    text = read_crisismmd(tree)["train"].sources["text"]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(text[1]) == 300_000 and peak < 20e6


def test_too_few_samples_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Received: num_samples=9"):
        write_crisismmd(tmp_path / "mini", num_samples=9)
