"""Reads a user's table of any format into one frame of strings with known columns; only this file reads raw cells.

A file (`data.formats`), a DataFrame or a folder of classes -> `Table`. The files that it names are not opened here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.config import ColumnsConfig, MissingConfig, columns_type, mask_columns, roles
from sightsound.data import cells
from sightsound.data.columns import Columns, match
from sightsound.data.formats import Cells, read_cells
from sightsound.data.sources import folder
from sightsound.errors import TableError
from sightsound.modalities.base import MODALITIES, modality
from sightsound.types import SPLIT_OF, SPLITS


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used, or only in part: its number (from 1), the file at fault or "", reason, modality."""

    row: int
    file: str
    reason: str
    modality: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of strings; "" where a value is missing.

    Attributes:
        name: the user's name for it, for messages.
        root: the folder of relative paths.
        frame: columns image, audio, label, split, group, time, image_mask, audio_mask (`config.roles`), all strings,
            and row, the row's number from 1; the index is unique, and the same as row until long sounds are cut into
            clips (`data.clips`). A split is train, val, test or "".
        given: the user's own columns, under any names, by row number.
        contents: files embedded in the table itself, and paths that are not text, by the name in the cell.
        notes: sentences about what was detected, guessed or left out in reading it.
    """

    name: str
    root: Path
    frame: pd.DataFrame
    given: pd.DataFrame = field(default_factory=pd.DataFrame)
    contents: Mapping[str, bytes | Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def path(self, value: str) -> Path:
        """Returns the path of a file named in the table."""
        known = self.contents.get(value)
        return known if isinstance(known, Path) else self.root / value

    def source(self, value: str) -> Path | bytes:
        """Returns a file named in the table: its path, or the content embedded in the table."""
        return self.contents.get(value) or self.path(value)

    def display_name(self, value: str) -> str:
        """Names a file of the table for a message."""
        return value if value in self.contents else cells.writable(str(self.root / value))

    def cell(self, value: str) -> str | dict[str, object]:
        """Returns a cell that names the same file in a table of another folder."""
        content = self.contents.get(value)
        if isinstance(content, bytes):
            return {"bytes": content, "path": value.rpartition("#")[0]}
        return value and str(self.path(value).absolute())

    def digest(self, columns: Sequence[str] | None = None) -> str:
        """SHA-256 over the cells of some columns, in the order of the rows; None: over all, and the rows' numbers."""
        frame = self.frame if columns is None else self.frame[list(columns)]
        return hashlib.sha256(pd.util.hash_pandas_object(frame, index=columns is None).to_numpy().tobytes()).hexdigest()

    def with_frame(self, frame: pd.DataFrame) -> Table:
        """Returns the table with other rows."""
        return replace(self, frame=frame)

    def without(self, rows: set[int]) -> Table:
        """Returns the table without the rows of these numbers."""
        return self.with_frame(self.frame[~self.frame["row"].isin(rows)])

    def part(self, split: str) -> Table:
        """Returns the rows of one split."""
        return self.with_frame(self.frame[self.frame["split"] == split])


def read_table(
    source: str | Path | pd.DataFrame | list[Any] | dict[str, Any],
    columns: ColumnsConfig | None = None,
    labelled: bool = True,
    measured: bool = True,
    assumed: ColumnsConfig | None = None,
) -> Table:
    """Reads a table and checks its columns.

    Args:
        source: a file, a folder, a DataFrame (whose relative paths start from the working directory), a list of rows or
            a dictionary of columns.
        columns: the user's names of the columns.
        labelled: whether the label column is required.
        measured: whether label and split are used; otherwise they are treated as missing.
        assumed: the default names: a column of another name is required. Default: those of `ColumnsConfig`.

    Raises:
        TableError: it does not exist, is not readable, has no rows, lacks a column that is required or was named, or
            has a value that is invalid in its column.
    """
    columns, assumed = columns or columns_type()(), assumed or columns_type()()
    counted = [role for role in roles() if measured or role not in ("label", "split")]
    if isinstance(source, list | dict):
        source = pd.DataFrame(source)
    if isinstance(source, pd.DataFrame):
        name, root, read = "DataFrame", Path(), Cells(source, [])
    else:
        path = Path(source)
        name, root = str(source), path if path.is_dir() else path.parent
        read = folder.read(path, labelled) if path.is_dir() else read_cells(path, columns.separator, columns.encoding)
    raw = _with_index(read.frame)
    try:
        found = match(name, [str(column) for column in raw.columns], columns, assumed, counted, labelled)
    except TableError as error:
        raise TableError(f"{error} ({'; '.join(read.notes)})" if read.notes else str(error)) from error
    if len(raw) == 0:
        raise TableError(f"{name}: the table has no rows.")
    raw = raw.set_axis(_once([str(column).strip() for column in raw.columns]), axis=1)
    contents: dict[str, bytes | Path] = {}
    frame = _frame(name, root, raw, found, contents)
    given = raw.set_axis(frame.index, axis=0).map(lambda value: cells.writable(value) if type(value) is str else value)
    for role, place in found.position.items():
        if contents and role in MODALITIES:  # the names of embedded files, and not their bytes
            given = given.assign(**{given.columns[place]: frame[role]})
    return Table(name, root, frame, given, contents, (*read.notes, *found.notes, *_alike(frame["label"])))


def _once(names: list[str]) -> list[str]:
    """Makes column names unique: a later one of the same name gets a number."""
    seen: dict[str, int] = {}
    found = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return found


def _with_index(raw: pd.DataFrame) -> pd.DataFrame:
    """Turns the named levels of the index into columns, as pandas does in Parquet."""
    named = [level for level in raw.index.names if level is not None and level not in raw.columns]
    return raw.reset_index(level=named) if named else raw


def _frame(name: str, root: Path, raw: pd.DataFrame, found: Columns, contents: dict[str, bytes | Path]) -> pd.DataFrame:
    """Builds the columns of a `Table`'s frame. `contents` gets the files embedded in the cells."""
    values: dict[str, list[str]] = {}
    masks = mask_columns().values()
    for role in roles():
        if role not in found.position:
            values[role] = [""] * len(raw)
            continue
        column = raw.iloc[:, found.position[role]]
        try:
            if role in masks or (role in MODALITIES and not modality(role).in_cells):
                values[role] = cells.paths(column, root, contents)
            else:
                values[role] = cells.texts(column)
            if role in MODALITIES and modality(role).in_cells:
                contents |= {value: value.encode() for value in values[role] if value}
            if role in masks and (named := set(values[role]) & set(contents)):
                place = next(i for i, value in enumerate(values[role]) if value in named)
                raise cells.CellError(place, "a mask is the path of a file, and nothing else")
        except cells.CellError as error:
            raise TableError(f"{name}, row {error.place + 1}, column {column.name!r} ({role}): {error}.") from error
    for mask in masks:
        values[mask] = [value and str((root / value).absolute()) for value in values[mask]]
    values["split"] = _splits(name, values["split"])
    frame = pd.DataFrame(values, index=range(1, len(raw) + 1))
    frame["row"] = frame.index
    return frame


def _splits(name: str, values: list[str]) -> list[str]:
    """Normalises each value to train, val, test or "". Raises TableError for anything else."""
    known = {value: SPLIT_OF.get(value.lower(), value) for value in set(values)}
    for row, value in enumerate(values, start=1):
        if known[value] not in ("", *SPLITS):
            spellings = "; ".join(f"{split}: {', '.join(all_)}" for split, all_ in SPLITS.items())
            raise TableError(
                f"{name}, row {row}: the split {value!r} is not known. It is train, val or test ({spellings}; in any "
                "case). Rename the values; or, if the column means something else, name another: --columns.split NAME"
            )
    return [known[value] for value in values]


def _alike(labels: pd.Series) -> list[str]:
    """Returns a sentence about classes whose names differ only in case or blanks."""
    spellings: dict[str, set[str]] = {}
    for label in labels.unique():
        spellings.setdefault(" ".join(label.casefold().split()), set()).add(label)
    twice = [" and ".join(map(repr, sorted(found))) for found in spellings.values() if len(found) > 1]
    return [f"the labels {twice[0]} are different classes, though they differ only in case or blanks"] if twice else []


def incomplete_rows(table: Table, modalities: tuple[str, ...], labelled: bool = True) -> list[Rejected]:
    """Returns the rows without a label (where one is required) or without any of the modalities."""
    rejected = []
    if labelled:
        empty = table.frame.index[table.frame["label"] == ""]
        rejected += [Rejected(int(row), "", "the label is empty") for row in empty]
    nothing = table.frame.index[(table.frame[list(modalities)] == "").all(axis=1)]
    rejected += [Rejected(int(row), "", f"{' and '.join(modalities)} missing, so nothing is left") for row in nothing]
    return rejected


def dropped_rows(table: Table, modalities: tuple[str, ...], missing: MissingConfig) -> list[Rejected]:
    """Returns the rows that the policy `drop` leaves out, since they lack a modality."""
    return [
        Rejected(int(row), "", f"{m} is missing, and the policy is drop")
        for m in modalities
        if getattr(missing, m) == "drop"
        for row in table.frame["row"][table.frame[m] == ""]
    ]


def times_of(table: Table) -> NDArray[np.float64]:
    """Returns (rows,) the time of each row within its group; NaN for a row without a time.

    Raises:
        TableError: a time is not a number, is in a row without a group, or twice in a group.
    """
    frame = table.frame
    times = pd.to_numeric(frame["time"], errors="coerce")
    there = frame["time"] != ""
    for wrong, why in ((there & times.isna(), "is no number"), (there & (frame["group"] == ""), "has no group")):
        if wrong.any():
            row = frame.loc[wrong].iloc[0]
            raise TableError(
                f"{table.name}, row {row['row']}: the time {row['time']!r} {why}. Rows are ordered by a number within "
                "their group: --columns.time and --columns.group"
            )
    twice = there & frame.assign(time=times).duplicated(["group", "time"], keep=False)
    if twice.any():
        one = frame[twice].iloc[0]
        same = (frame["group"] == one["group"]) & (times == float(one["time"]))
        first, second = frame.loc[same, "row"].iloc[:2]
        raise TableError(f"{table.name}, rows {first} and {second}: the same time stands twice in one group.")
    return times.to_numpy(np.float64)
