"""Splits rows into train, val and test: as the table says, or drawn by class without cutting a group."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.data.table import Table
from sightsound.errors import TableError

SHARES = {"train": 0.70, "val": 0.15, "test": 0.15}


def split(table: Table, seed: int, labelled: bool = True) -> Table:
    """Completes the split column of a table: train, val, test.

    A split that the table gives is used. Without any, rows are drawn 70/15/15; with train but no val, val is drawn
    from train (15/85 of it).

    Args:
        table: the rows.
        seed: the seed of the draw.
        labelled: whether the labels are classes, all of which every part needs.

    Raises:
        TableError: a split that is given to some rows only, a class that cannot be in every part, or only one class.
    """
    frame = table.frame.copy()
    empty = frame.index[frame["split"] == ""]
    if 0 < len(empty) < len(frame):
        raise TableError(f"{table.name}, row {empty[0]}: the split is empty, while other rows have one. Fill it in.")
    if not len(empty) and not (frame["split"] == "train").any():
        raise TableError(
            f"{table.name}: no rows to train on; none has the split train. Mark some, or leave the column empty, and"
            " splits are drawn."
        )
    if labelled:
        _check_classes(table.name, frame)
    if len(empty):
        frame["split"] = draw(frame, SHARES, seed)
    elif not (frame["split"] == "val").any():
        train = frame[frame["split"] == "train"]
        both = SHARES["train"] + SHARES["val"]
        drawn = draw(train, {"train": SHARES["train"] / both, "val": SHARES["val"] / both}, seed)
        frame.loc[train.index, "split"] = drawn
    _check_parts(table.name, frame, labelled)
    return table.with_frame(frame)


def draw(frame: pd.DataFrame, shares: dict[str, float], seed: int) -> pd.Series:
    """Draws a split for each row: stratified by label, whole groups together, deterministic for a seed.

    Groups are assigned first, the largest first, each to the part that lacks its classes most; but where no more groups
    of a class are left than parts without it, to one of these parts. Rows without a group then complete each class to
    its shares. So a class with as many rows and groups as there are parts is in all of them, unless the groups of
    several such classes contradict each other.
    """
    rng = np.random.default_rng(seed)
    parts = list(shares)
    labels, codes = np.unique(frame["label"], return_inverse=True)
    wanted = np.bincount(codes, minlength=len(labels))[:, None] * np.array([shares[p] for p in parts])  # (C, parts)
    filled = np.zeros_like(wanted)
    result = np.full(len(frame), -1)
    groups = _groups(frame["group"].to_numpy(), rng)
    in_groups = [np.bincount(codes[rows], minlength=len(labels)) for rows in groups]
    alone = np.bincount(codes[(frame["group"] == "").to_numpy()], minlength=len(labels))
    left = alone + sum((counts > 0).astype(int) for counts in in_groups)  # (C,) groups and rows to be assigned
    for rows, counts in zip(groups, in_groups, strict=True):
        lack = (counts[:, None] * ((wanted - filled) / wanted.sum(axis=0))).sum(axis=0)
        needed = (counts > 0) & (left <= (filled == 0).sum(axis=1))
        urgent = (filled[needed] == 0).sum(axis=0)  # (parts,) how many of the classes that need it lack it
        left -= counts > 0
        best = int(np.argmax(np.where(urgent == urgent.max(), lack, -np.inf)))
        filled[:, best] += counts
        result[rows] = best
    for code in range(len(labels)):
        rows = rng.permutation(np.flatnonzero((codes == code) & (result < 0)))
        result[rows] = np.repeat(range(len(parts)), _counts(len(rows), wanted[code] - filled[code]))
    return pd.Series(np.array(parts)[result], index=frame.index)


def _groups(groups: NDArray[Any], rng: np.random.Generator) -> list[NDArray[Any]]:
    """Returns the row positions of each named group, in random order, then by falling size."""
    codes, names = pd.factorize(groups)  # in order of appearance
    order = np.argsort(codes, kind="stable")
    rows = dict(zip(names, np.split(order, np.cumsum(np.bincount(codes, minlength=len(names)))[:-1]), strict=True))
    named = [name for name in names if name != ""]
    found = [rows[name] for name in rng.permutation(named)] if named else []
    return sorted(found, key=len, reverse=True)


def _counts(total: int, wanted: NDArray[Any]) -> NDArray[Any]:
    """Divides `total` into whole numbers, proportional to `wanted`, none zero while there are enough rows for all."""
    wanted = np.maximum(wanted, 1e-9)
    counts: NDArray[Any] = np.floor(total * wanted / wanted.sum()).astype(int)
    while counts.sum() < total:
        counts[np.argmax(total * wanted / wanted.sum() - counts)] += 1
    for part in np.flatnonzero((counts == 0) & (wanted > 1e-9)):
        if counts.max() > 1:
            counts[np.argmax(counts)] -= 1
            counts[part] += 1
    return counts


def _check_classes(name: str, frame: pd.DataFrame) -> None:
    counts = frame["label"].value_counts()
    if len(counts) < 2:
        raise TableError(
            f"{name}: every row has the label {counts.index[0]!r}; a classifier needs two classes or more."
        )
    for label, rows in frame.groupby("label"):
        if (frame["split"] == "").all() and len(rows) < len(SHARES):
            raise TableError(
                f"{name}: the class {label!r} has only {len(rows)} row(s) (row {rows.index[0]}). It needs "
                f"{len(SHARES)} at least, one each to train, to choose and to test. Add rows, or leave the class out."
            )


def _check_parts(name: str, frame: pd.DataFrame, labelled: bool) -> None:
    train = set(frame["label"][frame["split"] == "train"])
    for part in ("train", "val"):
        if not (frame["split"] == part).any():
            why = "all rows are in few large groups" if (frame["group"] != "").any() else "there are too few rows"
            purpose = "train on" if part == "train" else "validate with"
            raise TableError(f"{name}: no rows to {purpose}; {why}.")
    for row, label in frame["label"][frame["split"] != "train"].items():
        if labelled and label not in train:
            raise TableError(
                f"{name}, row {row}: the class {label!r} is in no training row, so that it is never predicted."
            )
