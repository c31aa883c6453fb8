"""What makes a table's numbers too good or too uncertain, in sentences for the user.

Files, contents and groups on both sides of a split; classes and groups that are too few to be judged by.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.data.store import Store
from sightsound.data.table import Table
from sightsound.types import MODALITIES

FEWEST_ROWS = 10  # of a class; with fewer, each test row moves its recall by a third or more
FEWEST_GROUPS = 5  # in the test split; with fewer, its numbers are those of these speakers or sites


def cautions(table: Table, stores: Mapping[str, Store] | None = None, rows: torch.Tensor | None = None) -> list[str]:
    """Everything there is to say of a table's labels, groups and splits.

    Args:
        table: n rows; where it has splits, these are looked at.
        stores: what the files hold, so that copies are found whatever they are called; None: the same files only.
        rows: (n,) the position of each row in the stores.
    """
    given = stores or {}
    positions = np.arange(len(table.frame)) if rows is None else rows.numpy()
    shared: dict[Hashable, NDArray[np.int64]] = {}
    for m in MODALITIES:
        found = _by_content(given[m], positions) if m in given else _by_file(table, m)
        shared |= {(m, key): places for key, places in found if _splits(table, places) > 1}
    return [*_shared(table, shared), *_cut_groups(table), *_few(table)]


def _by_file(table: Table, modality: str) -> Iterator[tuple[Hashable, NDArray[np.int64]]]:
    """Each file with the places of its rows; one file however its path is spelt or linked."""
    names = table.frame[modality].to_numpy()
    identity: dict[str, Hashable] = {"": None}
    for name in pd.unique(names):
        if name:
            try:
                status = os.stat(table.path(name))
                identity[name] = (status.st_dev, status.st_ino)
            except (OSError, ValueError):  # not there, or in the table itself, where equal contents have one name
                identity[name] = name
    keys = pd.Series([identity[name] for name in names], dtype=object)
    yield from ((key, np.asarray(places)) for key, places in keys.groupby(keys).indices.items())


def _by_content(store: Store, positions: NDArray[np.int64]) -> Iterator[tuple[Hashable, NDArray[np.int64]]]:
    """Each content that several rows have, with their places; not silence and pictures of one colour."""
    sums = pd.Series(store.checksums()[positions])
    several = sums[sums.duplicated(keep=False) & (sums != 0)]
    for key, those in several.groupby(several).indices.items():
        places = several.index.to_numpy()[those]
        entries = store.entry[torch.from_numpy(positions[places])]
        used, which = torch.unique(entries, return_inverse=True)
        content = store.values[used].flatten(1)
        if (content[0] == content[0, 0]).all():
            continue
        same = (content == content[0]).all(1)[which].numpy()  # equal checksums are not always equal contents
        yield key, places[same]


def _splits(table: Table, places: NDArray[np.int64]) -> int:
    return len(set(table.frame["split"].to_numpy()[places]) - {""})


def _shared(table: Table, shared: Mapping[Any, NDArray[np.int64]]) -> list[str]:
    if not shared:
        return []
    (modality, _), places = next(iter(shared.items()))
    frame = table.frame
    of_first = frame.iloc[places]
    first = of_first.iloc[0]
    other = of_first[of_first["split"] != first["split"]].iloc[0]
    if first[modality] == other[modality]:
        example = f"{first[modality]} in rows {first['row']} and {other['row']}"
    else:
        example = (
            f"{first[modality]} in row {first['row']} and {other[modality]}, the same content, in row {other['row']}"
        )
    too_good = _too_good(frame, np.concatenate(list(shared.values())))
    return [
        f"{len(shared)} file(s) stand in more than one split, for instance {example}: {too_good}. Give such rows one "
        "group (--columns.group), or one split."
    ]


def _cut_groups(table: Table) -> list[str]:
    frame = table.frame[(table.frame["group"] != "") & (table.frame["split"] != "")]
    splits = frame.groupby("group", sort=False)["split"].nunique()
    cut = splits.index[splits > 1]
    if not len(cut):
        return []
    too_good = _too_good(frame, np.flatnonzero(frame["group"].isin(cut)))
    of_first = frame[frame["group"] == cut[0]]
    other = of_first[of_first["split"] != of_first["split"].iloc[0]].iloc[0]
    return [
        f"{len(cut)} of {len(splits)} groups have rows in more than one split, for instance {cut[0]!r} in rows "
        f"{of_first['row'].iloc[0]} and {other['row']}: {too_good}. --group-split draws the split by whole groups."
    ]


def _too_good(frame: pd.DataFrame, places: NDArray[np.int64]) -> str:
    part = "test" if "test" in set(frame["split"].to_numpy()[places]) else "validation"
    return f"the {part} numbers will be too good"


def _few(table: Table) -> list[str]:
    """Sentences about rare classes, and a test split of few groups."""
    frame, notes = table.frame.drop_duplicates("row"), []
    counts = frame["label"][frame["label"] != ""].value_counts()
    rare = counts[counts < FEWEST_ROWS]
    if len(rare) and len(rare) < len(counts):  # where all are rare, the table is small, and everybody sees that
        named = ", ".join(f"{label!r} ({count})" for label, count in list(rare.items())[:3])
        more = ", ..." if len(rare) > 3 else ""
        notes.append(
            f"{len(rare)} of {len(counts)} classes have fewer than {FEWEST_ROWS} rows: {named}{more}. Accuracy hardly "
            "notices them: look at the recall of each class"
        )
    test = frame[frame["split"] == "test"]
    groups = test["group"][test["group"] != ""].nunique()
    if 0 < groups < FEWEST_GROUPS:
        notes.append(
            f"the test split has {groups} group(s): its numbers are those of them. `sightsound evaluate BUNDLE TABLE "
            "--leave-one-group-out` tests on every group in turn"
        )
    return notes
