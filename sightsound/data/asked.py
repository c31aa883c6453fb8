"""Selects the rows of a table to predict or to measure, and reports warnings about them first."""

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
    """Returns the column names of a table: those of another table, except for the given ones."""
    if isinstance(given, ColumnsConfig):
        return given
    check_names(type(known), dict(given or {}), "columns.")
    here: dict[str, Any] = {"separator": None, "encoding": None, **(given or {})}  # specific to that file
    return dataclasses.replace(known, **here)


def rows_to_predict(source: str | Path | pd.DataFrame, columns: ColumnsConfig, config: Config) -> Table:
    """Returns all rows of a table, whose labels and split are ignored.

    Args:
        source: the table.
        columns: the names of its columns.
        config: the classifier's configuration.

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
    """Returns the test rows of a table, or all rows where it has none.

    Args:
        source: the table.
        columns: the names of its columns.
        config: the classifier's configuration.
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
