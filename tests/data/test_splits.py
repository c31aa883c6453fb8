"""Splits are stratified, seeded, and never cut a group; properties over random tables."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsound.data.splits import SHARES, draw, split
from sightsound.data.table import Table
from sightsound.errors import TableError


def table_of(labels: list[str], groups: list[str] | None = None, splits: list[str] | None = None) -> Table:
    rows = len(labels)
    frame = pd.DataFrame(
        {
            "image": [f"{i}.png" for i in range(rows)],
            "audio": "",
            "label": labels,
            "split": splits or [""] * rows,
            "group": groups or [""] * rows,
        },
        index=range(1, rows + 1),
    )
    return Table("t.csv", Path(), frame)


@given(st.lists(st.integers(3, 60), min_size=2, max_size=6), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_every_class_is_in_every_part_at_about_its_share(counts: list[int], seed: int) -> None:
    labels = [f"c{i}" for i, count in enumerate(counts) for _ in range(count)]
    frame = split(table_of(labels), seed).frame
    for i, count in enumerate(counts):
        of_class = frame["split"][frame["label"] == f"c{i}"].value_counts()
        assert set(of_class.index) == set(SHARES)
        for part, share in SHARES.items():
            assert abs(of_class[part] - share * count) <= 2


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 14)), min_size=40, max_size=120), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_groups_are_never_cut(rows: list[tuple[int, int]], seed: int) -> None:
    frame = table_of([str(a) for a, _ in rows], [f"g{g}" if g else "" for _, g in rows]).frame
    drawn = draw(frame, SHARES, seed)
    grouped = frame["group"] != ""
    assert (drawn[grouped].groupby(frame["group"][grouped]).nunique() == 1).all()
    assert (draw(frame, SHARES, seed) == drawn).all()


@given(st.integers(3, 5), st.lists(st.integers(2, 30), min_size=8, max_size=30), st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_a_class_of_three_groups_is_in_every_part(rare: int, sizes: list[int], seed: int) -> None:
    """The groups of the rare class hold many rows of the others, which would decide otherwise."""
    labels, groups = [], []
    for number, size in enumerate(sizes):
        labels += ["rare"] * (number < rare) + [f"c{i % 2}" for i in range(size)]
        groups += [f"g{number}"] * (size + (number < rare))
    frame = split(table_of(labels, groups), seed).frame
    assert set(frame["split"][frame["label"] == "rare"]) == set(SHARES)


def test_a_class_of_one_group_and_two_rows_is_in_every_part() -> None:
    labels = ["rare"] * 3 + ["a", "b"] * 30
    for seed in range(20):
        frame = split(table_of(labels, ["g"] + [""] * 62), seed).frame
        assert set(frame["split"][frame["label"] == "rare"]) == set(SHARES)


def test_many_groups_come_near_the_shares() -> None:
    rng = np.random.default_rng(0)
    groups = [f"g{g}" for g in rng.integers(0, 60, 1200)]
    frame = split(table_of([str(x) for x in rng.integers(0, 4, 1200)], groups), 0).frame
    shares = frame["split"].value_counts(normalize=True)
    assert all(abs(shares[part] - share) < 0.04 for part, share in SHARES.items())


def test_another_seed_draws_another_split() -> None:
    table = table_of(["a", "b"] * 50)
    assert (split(table, 0).frame["split"] != split(table, 1).frame["split"]).any()


def test_given_splits_stay_and_validation_is_drawn_from_train() -> None:
    splits = ["train"] * 40 + ["test"] * 20
    frame = split(table_of(["a", "b"] * 30, splits=splits), 0).frame
    assert (frame["split"][40:] == "test").all()
    assert 4 <= (frame["split"][:40] == "val").sum() <= 10


FAULTS = [
    (table_of(["a"] * 10), "every row has the label 'a'"),
    (table_of(["a"] * 10 + ["b"]), r"the class 'b' has only 1 row\(s\) \(row 11\)"),
    (table_of(["a", "b"] * 5, splits=["train"] * 9 + [""]), "row 10: the split is empty"),
    (table_of(["a", "b"] * 5, splits=["test"] * 10), "no rows to train on; none has the split train"),
    (table_of(["a", "b"] * 5, groups=["one"] * 10), "no rows to validate with; all rows are in few large groups"),
    (table_of(["a", "b", "a", "b", "c"], splits=["train", "train", "val", "test", "test"]), "row 5: the class 'c'"),
]


@pytest.mark.parametrize(("table", "message"), FAULTS)
def test_impossible_splits_are_said(table: Table, message: str) -> None:
    with pytest.raises(TableError, match=message):
        split(table, 0)


def test_many_groups_take_no_longer_each_than_few() -> None:
    def seconds(groups: int) -> float:
        frame = table_of(["a", "b"] * groups, [f"g{i}" for i in range(groups) for _ in range(2)]).frame
        begin = time.perf_counter()
        draw(frame, SHARES, 0)
        return time.perf_counter() - begin

    seconds(100)
    assert seconds(16_000) < 16 * 3 * min(seconds(1_000) for _ in range(3))  # quadratic would be 256 times
