"""Warns in sentences where metrics on a table would be too good or too uncertain.

It looks for files, contents and groups on both sides of a split, and for classes and groups that are too small.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.data.clusters import codes_of, file_identities
from sightsound.data.prepared.store import Store
from sightsound.data.table import Table
from sightsound.modalities.base import MODALITIES
from sightsound.types import SPLITS

FEWEST_ROWS = 10  # rows of a class; with fewer, each test row moves its recall by a third or more
RARE = 0.1  # of the rows of the mean class, below which accuracy hardly notices a class
FEWEST_JUDGED = 20  # test rows of a class; if all are right, the recall is still anything from 0.83
FEWEST_GROUPS = 5  # groups in the test split; with fewer, its metrics do not generalise beyond these speakers or sites


def cautions(table: Table, stores: Mapping[str, Store] | None = None, rows: torch.Tensor | None = None) -> list[str]:
    """Returns all warnings about a table's labels, groups and splits.

    Args:
        table: n rows; its splits, if any, are checked.
        stores: the decoded files, so that copies are found under any name; None: only equal paths are found.
        rows: (n,) the position of each row in the stores.
    """
    given = stores or {}
    positions = np.arange(len(table.frame)) if rows is None else rows.numpy()
    splits = table.frame["split"].to_numpy(object)
    shared: dict[Hashable, NDArray[np.int64]] = {}
    for m in MODALITIES:
        found = _by_content(given[m], positions) if m in given else _by_file(table, m)
        shared |= {(m, key): places for key, places in found if len(places) > 1 and len({*splits[places]} - {""}) > 1}
    return [*_shared(table, shared), *_cut_groups(table), *_contradictions(table), *_few(table), *_unjudged(table)]


def _by_file(table: Table, modality: str) -> Iterator[tuple[Hashable, NDArray[np.int64]]]:
    """Yields each file with the places of its rows; different spellings of a path and links count as one file."""
    codes = codes_of(file_identities(table, modality))
    repeated = np.flatnonzero(pd.Series(codes).duplicated(keep=False))
    order = repeated[np.argsort(codes[repeated], kind="stable")]
    for places in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        if len(places):
            yield int(codes[places[0]]), places


def _by_content(store: Store, positions: NDArray[np.int64]) -> Iterator[tuple[Hashable, NDArray[np.int64]]]:
    """Yields each content that several rows have, with their places; not silence and images of one colour."""
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


def _contradictions(table: Table) -> list[str]:
    """Returns a sentence for rows of the same files with different labels."""
    frame = table.frame[(table.frame["label"] != "")].drop_duplicates("row")
    files = frame.groupby(list(MODALITIES), sort=False)["label"].nunique()
    twice = files.index[files > 1]
    if not len(twice):
        return []
    first = frame[(frame[list(MODALITIES)] == list(twice[0])).all(axis=1)]
    rows, labels = first["row"].tolist()[:2], first["label"].drop_duplicates().tolist()[:2]
    return [
        f"{len(twice)} file(s) or pairs have more than one label, for instance rows {rows[0]} and {rows[1]}: "
        f"{labels[0]!r} and {labels[1]!r}. At most one of them can be right"
    ]


def _too_good(frame: pd.DataFrame, places: NDArray[np.int64]) -> str:
    part = "test" if "test" in set(frame["split"].to_numpy()[places]) else "validation"
    return f"the {part} numbers will be too good"


def _few(table: Table) -> list[str]:
    """Returns sentences about rare classes, and a test split of few groups."""
    frame, notes = table.frame.drop_duplicates("row"), []
    labelled = frame[frame["label"] != ""]
    counts = labelled["label"].value_counts()
    rare = counts[(counts < FEWEST_ROWS) | (counts < RARE * counts.mean())]
    if len(rare) and len(rare) < len(counts):  # where all are rare, the table is obviously small
        in_splits = pd.crosstab(labelled["split"], labelled["label"]).reindex(list(SPLITS), fill_value=0).to_dict()
        drawn = (labelled["split"] != "").all()
        named = ", ".join(
            f"{label!r} ({count} rows{_in_words(in_splits[label]) if drawn else ''})"
            for label, count in list(rare.items())[:3]
        )
        more = ", ..." if len(rare) > 3 else ""
        judged = f" With fewer than {FEWEST_JUDGED} test rows its recall is uncertain by more than 15 points."
        notes.append(
            f"{len(rare)} of {len(counts)} classes are rare: {named}{more}. Accuracy hardly notices them: look at the "
            f"recall of each class.{judged if drawn else ''} --logit-adjustment auto favours them, --class-recall "
            "NAME=0.9 finds a share of their rows that you choose"
        )
    test = frame[frame["split"] == "test"]
    groups = test["group"][test["group"] != ""].nunique()
    if 0 < groups < FEWEST_GROUPS:
        notes.append(
            f"the test split has {groups} group(s): its numbers are those of them. `sightsound evaluate BUNDLE TABLE "
            "--leave-one-group-out` tests on every group in turn"
        )
    return notes


def _in_words(counts: Mapping[Any, int]) -> str:
    return ": " + ", ".join(f"{count} {split}" for split, count in counts.items())


def _unjudged(table: Table) -> list[str]:
    """Returns a sentence for each split that lacks classes of the training rows."""
    frame, notes = table.frame[table.frame["label"] != ""], []
    of_split = {split: set(labels) for split, labels in frame.groupby("split")["label"]}
    for split, effect in {
        "val": "nothing that validation rows choose (encoders, epochs, confidence) heeds them",
        "test": "how well they are recognised is not measured",
    }.items():
        lacking = sorted(of_split.get("train", set()) - of_split.get(split, set()))
        if lacking and split in of_split:
            named = ", ".join(map(repr, lacking[:3])) + (", ..." if len(lacking) > 3 else "")
            notes.append(f"{len(lacking)} class(es) have no {split} row: {named}; {effect}")
    return notes
