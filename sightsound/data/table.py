"""A user's table, whatever its format, as one frame of strings with known columns.

CSV, TSV, Parquet, JSON Lines, a DataFrame or a folder of classes -> `Table`. Files are not opened here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.config import ColumnsConfig, MissingConfig
from sightsound.data.sources import folder
from sightsound.errors import TableError, did_you_mean
from sightsound.types import MASKS, MODALITIES

FORMATS = ".csv, .tsv, .parquet, .jsonl, or a folder of class/name.png and class/name.wav; names: sightsound data list"


@dataclass(frozen=True)
class Rejected:
    """A row that cannot be used: its number (from 1), the file at fault or "", and why."""

    row: int
    file: str
    reason: str


@dataclass(frozen=True)
class Table:
    """Rows of strings; "" where a value is missing.

    Attributes:
        name: what the user called it, for messages.
        root: folder that relative paths start from.
        frame: columns image, audio, label, split, group, time, image_mask, audio_mask, all strings, and row, the row's
            number from 1; the index is unique, and the same as row until long sounds are cut into clips
            (`data.windows`).
    """

    name: str
    root: Path
    frame: pd.DataFrame

    def path(self, value: str) -> Path:
        """Where the file named in the table lies."""
        return self.root / value

    def source(self, value: str) -> Path | bytes:
        """What the readers are given for a file named in the table."""
        return self.path(value)

    def with_frame(self, frame: pd.DataFrame) -> Table:
        """Other rows of the same table."""
        return replace(self, frame=frame)

    def without(self, rows: set[int]) -> Table:
        """The table less the rows with these numbers."""
        return self.with_frame(self.frame[~self.frame["row"].isin(rows)])

    def part(self, split: str) -> Table:
        """The rows of one split."""
        return self.with_frame(self.frame[self.frame["split"] == split])


def read_table(source: str | Path | pd.DataFrame, columns: ColumnsConfig | None = None, labelled: bool = True) -> Table:
    """Reads a table and checks its columns.

    Args:
        source: a file, a folder, or a DataFrame (whose relative paths start from the working directory).
        columns: what the user calls the columns.
        labelled: whether the label column must be there.

    Raises:
        TableError: not there, not readable, without rows, or without a column that is needed.
    """
    columns = columns or ColumnsConfig()
    if isinstance(source, pd.DataFrame):
        name, root, raw = "DataFrame", Path(), source
    else:
        path = Path(source)
        name, root, raw = str(source), path if path.is_dir() else path.parent, _read(path)
    if raw.columns.has_duplicates:
        twice = sorted(set(raw.columns[raw.columns.duplicated()].astype(str)))
        raise TableError(f"{name}: the column {twice[0]!r} stands there twice; rename one of them.")
    names = asdict(columns)
    found = [str(column) for column in raw.columns]
    if labelled and names["label"] not in found:
        raise TableError(_no_column(name, "label", names["label"], found))
    if not any(names[m] in found for m in MODALITIES):
        raise TableError(_no_column(name, "image", names["image"], found))
    if len(raw) == 0:
        raise TableError(f"{name}: the table has no rows.")
    frame = pd.DataFrame(
        {key: _strings(raw[column]) if column in found else [""] * len(raw) for key, column in names.items()},
        index=range(1, len(raw) + 1),
    )
    for mask in MASKS.values():
        frame[mask] = [value and str((root / value).absolute()) for value in frame[mask]]
    frame["row"] = frame.index
    return Table(name, root, frame)


def incomplete_rows(table: Table, modalities: tuple[str, ...], labelled: bool = True) -> list[Rejected]:
    """Rows without a label (where one is needed) or without any of the modalities."""
    rejected = []
    if labelled:
        empty = table.frame.index[table.frame["label"] == ""]
        rejected += [Rejected(int(row), "", "the label is empty") for row in empty]
    nothing = table.frame.index[(table.frame[list(modalities)] == "").all(axis=1)]
    rejected += [Rejected(int(row), "", f"{' and '.join(modalities)} missing, so nothing is left") for row in nothing]
    return rejected


def dropped_rows(table: Table, modalities: tuple[str, ...], missing: MissingConfig) -> list[Rejected]:
    """Rows without a modality for which the policy is to leave them out."""
    return [
        Rejected(int(row), "", f"{m} is missing, and the policy is drop")
        for m in modalities
        if getattr(missing, m) == "drop"
        for row in table.frame["row"][table.frame[m] == ""]
    ]


def times_of(table: Table) -> NDArray[np.float64]:
    """(rows,) where each row stands within its group; NaN for a row without a time.

    Raises:
        TableError: a time is no number, stands in a row without a group, or twice in a group.
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
        first, second = frame.loc[twice & (frame["group"] == frame.loc[twice, "group"].iloc[0]), "row"].iloc[:2]
        raise TableError(f"{table.name}, rows {first} and {second}: the same time stands twice in one group.")
    return times.to_numpy(np.float64)


def _read(path: Path) -> pd.DataFrame:
    if path.is_dir():
        return folder.read(path)
    if not path.exists():
        raise TableError(f"{path}: there is no such table. It can be {FORMATS}.")
    try:
        match path.suffix.lower():
            case ".csv":
                return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
            case ".tsv":
                return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", sep="\t")
            case ".parquet":
                return pd.read_parquet(path)
            case ".jsonl" | ".ndjson":
                return pd.read_json(path, lines=True, dtype=False, convert_dates=False)
    except pd.errors.EmptyDataError as error:
        raise TableError(f"{path}: the table is empty.") from error
    except (ValueError, OSError) as error:  # pandas and pyarrow raise these two families for broken content
        raise TableError(f"{path}: cannot be read as a {path.suffix[1:].upper()} table: {error}") from error
    raise TableError(f"{path}: tables of type {path.suffix or '(no ending)'} are not known. It can be {FORMATS}.")


def _strings(column: pd.Series) -> pd.Series | list[str]:
    """Values as a person would write them: 7 for 7.0, "" for None and NaN, no blanks around."""
    if isinstance(column.dtype, pd.StringDtype):
        return column.fillna("").str.strip().set_axis(range(1, len(column) + 1))

    def text(value: object) -> str:
        if value is None or value is pd.NA or value != value:
            return ""
        if isinstance(value, float) and value.is_integer():
            return str(int(value))
        return str(value).strip()

    return [text(value) for value in column]


def _no_column(table: str, role: str, column: str, found: list[str]) -> str:
    needed = f"no {column!r} column" if role == "label" else "neither an image nor an audio column"
    option = f"--columns.{role}"
    return f"{table}: there is {needed}. {did_you_mean(column, found)} Name it with {option} NAME."
