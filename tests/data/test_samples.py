import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_c2kd.data import Samples
from keras_c2kd.data.samples import check_found


def index_of(labels):
    ids = tuple(str(i) for i in range(len(labels)))
    sources = {"rgb": np.array([f"{i}.jpg" for i in ids])}
    return Samples(ids, sources, np.asarray(labels, "int32"), ("a", "b", "c"))


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
        assert [f"{i}.jpg" for i in part.ids] == list(part.sources["rgb"])
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


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_incomplete_samples_are_left_out_or_kept_and_marked(kinds):
    """Bit 0 of a kind: there is an image; bit 1: there is a sound."""
    n = len(kinds)
    samples = Samples(
        ids=tuple(map(str, range(n))),
        sources={
            "image": np.array(
                [[f"{i}.jpg" if k & 1 else ""] for i, k in enumerate(kinds)]
            ),
            "audio": {
                "path": np.array(
                    [f"{i}.wav" if k & 2 else "" for i, k in enumerate(kinds)]
                ),
                "rate": np.arange(n),
            },
        },
        labels=np.zeros(n, "int32"),
        class_names=("a", "b"),
    )
    whole = samples.complete()
    assert whole.ids == tuple(str(i) for i, k in enumerate(kinds) if k == 3)
    assert list(whole.sources["audio"]["rate"]) == list(map(int, whole.ids))
    assert not whole.present
    assert bool(whole.notes) == (set(kinds) != {3})
    kept = samples.complete(keep_incomplete=True)
    assert kept.ids == tuple(str(i) for i, k in enumerate(kinds) if k)
    if set(kinds) != {3}:
        expected = {"image": 1, "audio": 2}
        for name, bit in expected.items():
            there = [bool(kinds[int(i)] & bit) for i in kept.ids]
            assert list(kept.present[name]) == there
            assert f"{sum(not k & bit for k in kinds)} without {name}" in kept.notes[-1]


def test_too_few_found_are_refused():
    assert check_found(8, 10, 0.8, "clips", "x") == "8 of 10 listed clips are on disk"
    with pytest.raises(
        ValueError, match="at least 8 of the 10.*Received: 7 in data_dir"
    ):
        check_found(7, 10, 0.8, "clips", "x")
    with pytest.raises(ValueError, match="at least 1 of the 10.*Received: 0"):
        check_found(0, 10, 0.0, "clips", "x")
