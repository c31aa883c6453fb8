"""Every file of a table read and checked before anything is trained: rows, sizes, warnings, and a list of what is bad.

Table -> (headers: sizes for the configuration) -> (files: the preprocessed cache) -> `Checked`.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.config import Config
from sightsound.data.dataset import Rows
from sightsound.data.decode import class_indices, clips, header_reading, prepare_rows, summary
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.store import read_store
from sightsound.data.remarks import sentences
from sightsound.data.splits import SHARES
from sightsound.data.table import Rejected, Table, dropped_rows, incomplete_rows
from sightsound.data.text import without_formulas
from sightsound.errors import TableError
from sightsound.hardware import resolve_precision
from sightsound.modalities.base import modality

TYPICAL_FILES = 2_000  # enough for the size of the images and the length of the sounds


class Checked(NamedTuple):
    """A table of which every file has been read.

    Attributes:
        table: the usable rows; a row for each clip where sounds are cut.
        config: with all sizes filled in.
        every: what the files hold, over the rows of the table and those that cannot be used.
        warnings: sentences for the user.
    """

    table: Table
    config: Config
    every: Rows
    warnings: list[str]


def modalities_in(table: Table, config: Config) -> tuple[str, ...]:
    """The configured modalities that any row has. Raises TableError where there are none."""
    found = tuple(m for m in config.modalities if (table.frame[m] != "").any())
    if not found:
        raise TableError(f"{table.name}: no row has {' or '.join(config.modalities)}.")
    return found


def check(table: Table, config: Config, run: Path, labelled: bool = True) -> Checked:
    """Reads every file once; writes `rejected.csv` into the run folder.

    Raises:
        TableError: rows cannot be used and the configuration says stop; or nothing is left.
    """
    modalities = modalities_in(table, config)
    warnings = [*table.notes]
    warnings += [
        f"no row has {m} (column {getattr(config.columns, m)!r}; --columns.{m} names another); it is trained without"
        for m in config.modalities
        if m not in modalities
    ]
    if len(modalities) > 1 and not (table.frame[list(modalities)] != "").all(axis=1).any():
        warnings.append(
            f"no row has {' and '.join(modalities)}, so that the fusion is trained on no pair. In a folder, files of a "
            "pair have the same name"
        )
    config = dataclasses.replace(config, modalities=modalities)
    rejected = incomplete_rows(table, modalities, labelled)
    table = table.without({bad.row for bad in rejected})
    if left_out := {bad.row for bad in dropped_rows(table, modalities, config.missing)}:
        table = table.without(left_out)
        warnings.append(f"{len(left_out)} row(s) without all modalities are left out, as the policy drop says")
    infos, unreadable = probe(table, modalities, TYPICAL_FILES)
    rejected += unreadable
    table = table.without({bad.row for bad in rejected})
    if not len(table.frame):
        raise TableError(_reported(rejected, table.name, run))
    asked, config = config, fill_in(config, infos)
    warnings += cuts(asked, config, infos)
    whole = clips(table, config, keep=True)
    every, undecodable = prepare_rows(whole, config, None, keep=True)
    warnings += sentences(every.stores, whole)
    if undecodable:
        rejected += undecodable
        table = table.without({bad.row for bad in undecodable})
    if rejected:
        message = _reported(rejected, table.name, run)
        if config.on_bad_file == "stop" or not len(table.frame):
            raise TableError(message)
        warnings.append(message)
    return Checked(clips(table, config, keep=True), config, every, warnings)


def by_groups(table: Table) -> Table:
    """The table without its own split, so that whole groups are drawn. Raises TableError for rows without a group."""
    alone = table.frame["row"][table.frame["group"] == ""]
    if len(alone):
        raise TableError(
            f"{table.name}: --group-split needs a group in every row; {len(alone)} have none, row {alone.iloc[0]} the "
            "first. Name the column that says which rows belong together: --columns.group NAME"
        )
    return table.with_frame(table.frame.assign(split=""))


def probe(
    table: Table, modalities: tuple[str, ...], most: int | None = None
) -> tuple[dict[str, NDArray[np.float64]], list[Rejected]]:
    """From the headers alone: per modality (files, ...) as in `header_reading`, and the rows without a good header.

    Args:
        table: the rows.
        modalities: to look at.
        most: so many files of each, spread evenly, are enough to know what is typical; None: all.
    """
    infos, rejected = {}, []
    for m in modalities:
        how = header_reading(m)
        some = table.with_frame(table.frame[table.frame[m] != ""].drop_duplicates(m))
        if most and len(some.frame) > most:
            some = some.with_frame(some.frame.iloc[np.linspace(0, len(some.frame) - 1, most).astype(int)])
        store, bad = read_store(some, how, f"checking {m}", prepared_folder(table, how.name))
        files = torch.unique(store.entry)
        infos[m] = store.read(files[files > 0]).numpy()
        rejected += bad
    return infos, rejected


def fill_in(config: Config, infos: dict[str, NDArray[np.float64]]) -> Config:
    """The configuration with sizes and precision taken from the data, from checkpoints and from the machine."""
    sections = {}
    for m in config.modalities:
        how = modality(m)
        options = how.with_checkpoint(getattr(config, m))
        sections[m] = how.complete(options, infos[m]) if len(infos.get(m, ())) else options
    precision = resolve_precision(config.precision, config.accelerator)
    return dataclasses.replace(config, **sections, precision=cast(Any, precision))


def cuts(asked: Config, config: Config, infos: dict[str, NDArray[np.float64]]) -> list[str]:
    """What the sizes that nobody asked for leave out of the files, in sentences.

    Args:
        asked: as the user wrote it.
        config: with all sizes filled in.
        infos: as `probe` gives them.
    """
    found = []
    for m, headers in infos.items():
        found += modality(m).cuts(getattr(asked, m), getattr(config, m), headers) if len(headers) else []
    return found


def by_split(every: Rows, table: Table, labels: list[str]) -> dict[str, Rows]:
    """The readable rows in three; `every.rows` are their positions in the stores, in the order of the table."""
    target = torch.full((int(every.rows.max()) + 1,), -1)
    target[every.rows] = class_indices(table, labels)
    splits = table.frame["split"].to_numpy()
    return {s: Rows(every.stores, target, every.rows[torch.from_numpy(splits == s)]) for s in SHARES}


def _reported(rejected: list[Rejected], name: str, run: Path) -> str:
    """Writes `rejected.csv`; gives the summary for the user."""
    path = run / "rejected.csv"
    ordered = sorted(rejected, key=lambda bad: bad.row)
    without_formulas(pd.DataFrame(ordered, columns=["row", "file", "reason"])).to_csv(path, index=False)
    return f"{summary(name, rejected)}\nAll of them: {path}"
