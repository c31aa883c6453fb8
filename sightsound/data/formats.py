"""A table's file as cells, whatever program wrote it: separators, quotes, encodings, compression, Excel, JSON, Parquet.

File -> `Cells`: a frame of whatever the file holds, and sentences about what was detected. Columns and values are not
interpreted here; `data.table` does that.
"""

from __future__ import annotations

import csv
import io
import json
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sightsound.data.encodings import COMPRESSED, MOST_BYTES, OVERRULE, content_of, decoded
from sightsound.errors import TableError

SEPARATORS = ",;\t|"
NAMED_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}


class Cells(NamedTuple):
    """What a file holds: columns by name, as they were written; and sentences about what was detected or left out."""

    frame: pd.DataFrame
    notes: list[str]


def read_cells(path: Path, separator: str | None = None, encoding: str | None = None) -> Cells:
    """Reads a file of any known format.

    Args:
        path: its ending, less that of a compression, says which format it is.
        separator: of CSV and TSV; None: detected.
        encoding: of text; None: detected.

    Raises:
        TableError: not there, of an unknown format, or not readable.
    """
    if not path.exists():
        raise TableError(f"{path}: there is no such table. It can be {FORMATS}.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise TableError(f"{path}: this is no file but a pipe or a device. Write the table to a file first.")
    ending = kind_of(path)
    if ending not in READERS:
        raise TableError(f"{path}: tables of type {ending or '(no ending)'} are not known. It can be {FORMATS}.")
    try:
        return READERS[ending](path, separator, encoding)
    except (ValueError, OSError, EOFError) as error:  # pandas, pyarrow and the decompressors raise these families
        raise TableError(f"{path}: cannot be read as a {ending[1:].upper()} table: {error}") from error


def kind_of(path: Path) -> str:
    """The ending that says the format, in lower case: .csv of table.CSV.gz."""
    named = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    return named.suffix.lower()


def _csv(path: Path, separator: str | None, encoding: str | None) -> Cells:
    text, notes = decoded(path, encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise TableError(f"{path}: the table is empty.")
    usual = "\t" if kind_of(path) == ".tsv" else ","
    first, _, rest = text.partition("\n")
    if named := re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE):  # what Excel takes for the separator
        text, separator = rest, separator or named[1]
    chosen = {"\\t": "\t", "tab": "\t"}.get(separator or "", separator) or _separator(text, usual)
    if len(chosen) != 1:
        raise TableError(f"{path}: the separator is one character, not {separator!r} (--columns.separator).")
    if chosen != usual and not separator:
        name = NAMED_SEPARATORS[chosen]
        notes.append(f"the separator is taken to be the {name}; {OVERRULE.format('separator')}")
    rows, said = _records(text, chosen)
    return _framed(path, rows, notes + said)


def _separator(text: str, usual: str) -> str:
    """The one that stands most often between the names of the columns; the usual one in doubt."""
    head = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    return max(SEPARATORS, key=lambda separator: (head.count(separator), separator == usual))


def _records(text: str, separator: str) -> tuple[list[list[str]], list[str]]:
    """Rows of fields. Quotes hold a field together, unless each line is a row when they are read as text.

    A lone quotation mark in free text would otherwise swallow all lines up to the next one.
    """
    quoted = _parsed(text, separator, csv.QUOTE_MINIMAL)
    swallowed = quoted is None or any("\n" in field for row in quoted for field in row) or not _even(quoted)
    if quoted is not None and ('"' not in text or not swallowed):
        return quoted, []
    plain = _parsed(text, separator, csv.QUOTE_NONE)
    if plain is not None and _even(plain):
        return plain, ["quotation marks are read as text, since each line is a row without them"]
    if quoted is None:
        raise ValueError("a quotation mark is opened and not closed")
    return quoted, []


def _parsed(text: str, separator: str, quoting: Any) -> list[list[str]] | None:
    """Rows of fields without empty lines; None where the quotes are not those of a CSV."""
    csv.field_size_limit(MOST_BYTES)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
        return [row for row in reader if any(field.strip() for field in row)]
    except csv.Error:
        return None


def _even(rows: Sequence[Sequence[str]]) -> bool:
    """Whether all rows have as many fields as the head, but for empty ones at their end."""
    width = len(rows[0])
    return all(len(row) == width or (len(row) > width and not any(row[width:])) for row in rows)


def _framed(path: Path, rows: list[list[Any]], notes: list[str]) -> Cells:
    """The first row as the names of the columns, the others as their cells."""
    head, body = [str(name).strip() for name in rows[0]], rows[1:]
    width = len(head)
    for number, row in enumerate(body, start=1):
        if any(_filled(cell) for cell in row[width:]):
            raise TableError(
                f"{path}, row {number}: it has {len(row)} fields and the head {width}; the first beyond is "
                f"{row[width]!r}. Put fields that contain the separator into quotation marks."
            )
    short = [number for number, row in enumerate(body, start=1) if len(row) < width]
    if short:
        notes.append(
            f"{len(short)} row(s) have fewer fields than the head, row {short[0]} the first; the rest is empty"
        )
    frame = pd.DataFrame(
        [[*row[:width], *[""] * (width - len(row))] for row in body], columns=range(width), dtype=object
    )
    unnamed = [i for i, name in enumerate(head) if not name]
    if filled := [i for i in unnamed if any(_filled(cell) for cell in frame[i])]:
        notes.append(f"{len(filled)} column(s) without a name are left out, column {filled[0] + 1} the first")
    frame = frame.drop(columns=unnamed)
    frame.columns = pd.Index([name for name in head if name])
    return Cells(frame, notes)


def _filled(cell: Any) -> bool:
    return bool(str(cell).strip()) if cell is not None else False


def _excel(path: Path, separator: str | None, encoding: str | None) -> Cells:
    try:
        sheets = pd.read_excel(
            io.BytesIO(content_of(path)), sheet_name=None, header=None, dtype=object, engine="openpyxl"
        )
    except ImportError as error:
        raise TableError(
            f'{path}: Excel files need an extra: pip install "sightsound[excel]". Or save it as CSV.'
        ) from error
    except Exception as error:  # openpyxl lets whatever the XML and ZIP parsers raise through
        raise ValueError(f"this is no Excel workbook ({error})") from error
    name, sheet = next(iter(sheets.items()))
    notes = [f"the sheet {name!r} is read, the first of {len(sheets)}"] if len(sheets) > 1 else []
    rows = sheet.dropna(how="all").astype(object).where(lambda cells: cells.notna(), "").to_numpy().tolist()
    if not rows:
        raise TableError(f"{path}: the table is empty.")
    return _framed(path, rows, notes)


def _parquet(path: Path, separator: str | None, encoding: str | None) -> Cells:
    return Cells(pd.read_parquet(path), [])


def _json_lines(path: Path, separator: str | None, encoding: str | None) -> Cells:
    text, notes = decoded(path, encoding)
    rows = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise TableError(f"{path}, line {number}: cannot be read as JSON: {error}.") from error
            if not isinstance(rows[-1], dict):
                raise TableError(f"{path}, line {number}: {line.strip()[:40]!r} is no JSON object {{...}}.")
    return Cells(pd.DataFrame(rows, dtype=object), notes)


def _json(path: Path, separator: str | None, encoding: str | None) -> Cells:
    """A list of objects, or an object of columns; also lines of objects."""
    text, notes = decoded(path, encoding)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _json_lines(path, separator, encoding)
        raise
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return Cells(pd.DataFrame(content, dtype=object), notes)
    if isinstance(content, dict) and all(isinstance(column, list | dict) for column in content.values()):
        columns = {k: list(column.values()) if isinstance(column, dict) else column for k, column in content.items()}
        return Cells(pd.DataFrame(columns, dtype=object), notes)
    raise ValueError("it is neither a list of objects, one a row, nor an object of columns")


READERS: dict[str, Callable[[Path, str | None, str | None], Cells]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".txt": _csv,
    ".parquet": _parquet,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".xlsx": _excel,
    ".xlsm": _excel,
}
FORMATS = (
    ".csv, .tsv, .parquet, .jsonl, .json, .xlsx, the text ones also as .gz, .bz2, .xz or .zip, or a folder of "
    "class/name.png and class/name.wav; names: sightsound data list"
)
