"""The rows of a table that a classifier is asked about, to predict or to measure; what has to be said of them first."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sightsound.config import ColumnsConfig, Config, check_names
from sightsound.data.table import Rejected, Table, incomplete_rows, read_table
from sightsound.modalities.base import MODALITIES
from sightsound.progress import notice


def columns_like(known: ColumnsConfig, given: ColumnsConfig | Mapping[str, str] | None) -> ColumnsConfig:
    """What a table calls its columns: as another one did, but for those that are given."""
    if isinstance(given, ColumnsConfig):
        return given
    check_names(type(known), dict(given or {}), "columns.")
    here: dict[str, Any] = {"separator": None, "encoding": None, **(given or {})}  # of that file alone
    return dataclasses.replace(known, **here)


def rows_to_predict(source: str | Path | pd.DataFrame, columns: ColumnsConfig, config: Config) -> Table:
    """All rows of a table, whose labels and split do not matter.

    Args:
        source: the table.
        columns: what it calls its columns.
        config: the classifier's.

    Raises:
        TableError: as `read_table` does.
    """
    rows = read_table(source, columns, labelled=False, measured=False, assumed=config.columns)
    _say(rows)
    for m in config.modalities:
        if (rows.frame[m] == "").all():
            column = getattr(columns, m)
            notice(f"Note: {rows.name}: no row has {m} (column {column!r}); --columns.{m} names another column")
    return rows


def rows_to_measure(
    source: str | Path | pd.DataFrame,
    columns: ColumnsConfig,
    config: Config,
    labels: list[str],
    trained_on: object = None,
) -> tuple[Table, str, list[Rejected]]:
    """The test rows of a table, or all rows where it has none.

    Args:
        source: the table.
        columns: what it calls its columns.
        config: the classifier's.
        labels: class names.
        trained_on: the `digest` of the table that the classifier was trained on, if it is known.

    Returns:
        the rows, their split ("test" or "all"), and the rows without a label of `labels` or without any modality.
    """
    rows = read_table(source, columns, assumed=config.columns)
    _say(rows)
    counts = rows.frame["split"].value_counts()
    split = "test" if "test" in counts else "all"
    if split == "test" and counts["test"] < len(rows.frame):
        notice(f"The {counts['test']} test rows of {len(rows.frame)} count.")
    elif split == "all" and (rows.frame["split"] == "").all() and trained_on == digest(rows):
        notice(
            f"Note: {rows.name}: this is the table that the classifier was trained on. It has no split, so that all "
            f"{len(rows.frame)} rows count; most of them are training rows, which make the numbers too good. The "
            "report of the training has those of its test rows."
        )
    elif split == "all" and (rows.frame["split"] == "").all():
        notice(f"All {len(rows.frame)} rows count, since the table has no split.")
    elif split == "all" and "train" in counts:
        notice(
            f"Note: {rows.name}: it has a split and no test rows, so that all {len(rows.frame)} rows count. The "
            f"{counts['train']} training rows among them make the numbers too good if it was trained on these."
        )
    rows = rows.part("test") if split == "test" else rows
    rejected = incomplete_rows(rows, config.modalities)
    strange = rows.frame["label"][~rows.frame["label"].isin([*labels, ""])]
    known = ", ".join(labels)
    rejected += [
        Rejected(row, "", f"the class {label!r} is not one of {known}")
        for row, label in zip(strange.index.tolist(), strange.tolist(), strict=True)
    ]
    return rows.without({bad.row for bad in rejected}), split, rejected


def digest(table: Table) -> str:
    """The same for tables of the same files and labels, in whatever order of columns, and wherever they lie."""
    return table.digest([*MODALITIES, "label"])[:16]


def _say(rows: Table) -> None:
    for note in rows.notes:
        notice(f"Note: {rows.name}: {note}")
