"""Reads a table's file of any common program: separators, quotes, encodings, compression, Excel, JSON, Parquet.

File -> `Cells`: a frame of the raw values, and sentences about what was detected. Columns and values are interpreted in
`data.table`, not here.
"""

from __future__ import annotations

import csv
import importlib
import io
import json
import re
import stat
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from sightsound.data import cells
from sightsound.data.encodings import COMPRESSED, MOST_BYTES, OVERRULE, content_of, decode_text, zip_members
from sightsound.data.endings import modality_of_endings
from sightsound.errors import TableError, needs_extra

SEPARATORS = ",;\t|"
NAMED_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "|"}


class Cells(NamedTuple):
    """The content of a file: columns by name, as written; and sentences about what was detected or left out."""

    frame: pd.DataFrame
    notes: list[str]


def read_cells(path: Path, separator: str | None = None, encoding: str | None = None) -> Cells:
    """Reads a file of any known format.

    Args:
        path: the file; its ending, less that of a compression, gives the format.
        separator: the separator of CSV and TSV; None: detected.
        encoding: the encoding of text; None: detected.

    Raises:
        TableError: the file does not exist, is of an unknown format, or is not readable.
    """
    if not path.exists():
        raise TableError(f"{path}: there is no such table. It can be {FORMATS}.")
    if not stat.S_ISREG(path.stat().st_mode):
        raise TableError(f"{path}: this is no file but a pipe or a device. Write the table to a file first.")
    ending = kind_of(path)
    if ending not in READERS:
        hint = " A single image or sound is given with --image or --audio." if ending in modality_of_endings() else ""
        raise TableError(f"{path}: tables of type {ending or '(no ending)'} are not known. It can be {FORMATS}.{hint}")
    try:
        return READERS[ending](path, separator, encoding)
    except TableError:
        raise
    except Exception as error:  # damaged content: pandas, pyarrow, json and openpyxl raise a dozen kinds
        raise TableError(f"{path}: cannot be read as a {ending[1:].upper()} table: {error}") from error


def kind_of(path: Path) -> str:
    """Returns the ending that gives the format, in lower case: .csv of table.CSV.gz."""
    named = path.with_suffix("") if path.suffix.lower() in COMPRESSED else path
    if path.suffix.lower() == ".zip" and not named.suffix and zipfile.is_zipfile(path):
        named = Path(next(iter(zip_members(path)), ""))
    return named.suffix.lower()


def _csv(path: Path, separator: str | None, encoding: str | None) -> Cells:
    text, notes = decode_text(path, encoding)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise TableError(f"{path}: the table is empty.")
    usual = "\t" if kind_of(path) == ".tsv" else ","
    first, _, rest = text.partition("\n")
    if named := re.fullmatch(r"sep=(.)", first.strip(), re.IGNORECASE):  # Excel's declaration of the separator
        text, separator = rest, separator or named[1]
    chosen = {"\\t": "\t", "tab": "\t"}.get(separator or "", separator) or _separator(text, usual)
    if len(chosen) != 1:
        raise TableError(f"{path}: the separator is one character, not {separator!r} (--columns.separator).")
    if chosen != usual and not separator:
        name = NAMED_SEPARATORS[chosen]
        notes.append(f"the separator is taken to be the {name}; {OVERRULE.format('separator')}")
    rows, said = _records(text, chosen)
    if not rows:
        raise TableError(f"{path}: the table is empty.")
    return _framed(path, rows, notes + said)


def _separator(text: str, usual: str) -> str:
    """Returns the separator that occurs most often between the column names; the usual one in doubt."""
    head = re.sub(r'"[^"]*"', "", text.lstrip().partition("\n")[0])
    return max(SEPARATORS, key=lambda separator: (head.count(separator), separator == usual))


def _records(text: str, separator: str) -> tuple[list[list[str]], list[str]]:
    """Splits text into rows of fields. Quotes delimit a field, unless every line is a row when they are read as text.

    A lone quotation mark in free text would otherwise swallow all lines up to the next one.
    """
    quoted = _parsed(text, separator, csv.QUOTE_MINIMAL)
    if quoted == []:
        return [], []
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
    """Parses rows of fields without empty lines; None where the quotes are not those of a CSV."""
    csv.field_size_limit(MOST_BYTES)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, quoting=quoting, strict=True)
        return [row for row in reader if any(field.strip() for field in row)]
    except csv.Error:
        return None


def _even(rows: Sequence[Sequence[str]]) -> bool:
    """Returns whether all rows have as many fields as the head, except for empty ones at their end."""
    width = len(rows[0])
    return all(len(row) == width or (len(row) > width and not any(row[width:])) for row in rows)


def _framed(path: Path, rows: list[list[Any]], notes: list[str]) -> Cells:
    """Takes the first row as the names of the columns, the others as their cells."""
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
        importlib.import_module("openpyxl")  # pandas would not give its reason
    except Exception as error:  # a damaged library raises anything
        raise TableError(f"{path}: an Excel file {needs_extra('excel', error)}. Or save it as CSV.") from error
    try:
        sheets = pd.read_excel(
            io.BytesIO(content_of(path)), sheet_name=None, header=None, dtype=object, engine="openpyxl"
        )
    except Exception as error:  # openpyxl lets whatever the XML and ZIP parsers raise through
        raise ValueError(f"this is no Excel workbook ({error})") from error
    name, sheet = next(iter(sheets.items()))
    others = ", ".join(repr(other) for other in list(sheets)[1:])
    notes = [f"the sheet {name!r} is read, the first of {len(sheets)}; not {others}"] if others else []
    _check_formulas(path, str(name), sheet)
    rows = sheet.dropna(how="all").astype(object).where(lambda sheet_cells: sheet_cells.notna(), "").to_numpy().tolist()
    if not rows:
        raise TableError(f"{path}: the table is empty.")
    return _framed(path, rows, notes)


def _check_formulas(path: Path, name: str, sheet: pd.DataFrame) -> None:
    """Raises TableError where formulas have no stored results, as programs other than Excel may write them."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(content_of(path)), read_only=True)
    formulas = [cell for row in book[name].iter_rows() for cell in row if getattr(cell, "data_type", "") == "f"]
    places = [(cell.row - 1, cell.column - 1) for cell in formulas]
    inside = [place for place in places if place[0] < sheet.shape[0] and place[1] < sheet.shape[1]]
    if formulas and all(cells.is_empty(sheet.iat[place]) for place in inside):  # a single result may be an empty text
        raise TableError(
            f"{path}, cell {formulas[0].coordinate}: it holds the formula {str(formulas[0].value)[:40]!r} without the "
            "value that it gives. Open the file in a spreadsheet program and save it, or save it as CSV."
        )


def _parquet(path: Path, separator: str | None, encoding: str | None) -> Cells:
    frame = pd.read_parquet(path)
    for column in frame.columns[frame.dtypes == "string"]:
        frame[column].astype(object).tolist()  # raises here, and not later, for bytes that are not text
    return Cells(_named_classes(path, frame), [])


def _named_classes(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    """Replaces class numbers by names in columns of a Hugging Face data set, whose metadata holds the names."""
    import pyarrow.parquet as pq

    said = json.loads((pq.read_schema(path).metadata or {}).get(b"huggingface", b"{}"))
    for column, feature in said.get("info", {}).get("features", {}).items():
        names = feature.get("names") if isinstance(feature, dict) and feature.get("_type") == "ClassLabel" else None
        if names and column in frame:
            known = dict(enumerate(map(str, names)))
            frame[column] = [known.get(value, value) for value in frame[column]]  # -1 where there is no class
            frame[column] = frame[column].where(frame[column] != -1, "")
    return frame


def _json_lines(path: Path, separator: str | None, encoding: str | None) -> Cells:
    text, notes = decode_text(path, encoding)
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError as error:
                raise TableError(f"{path}, line {number}: cannot be read as JSON: {error}.") from error
            if not isinstance(rows[-1], dict):
                raise TableError(f"{path}, line {number}: {line.strip()[:40]!r} is no JSON object {{...}}.")
    return Cells(_of_json(rows), notes)


def _json(path: Path, separator: str | None, encoding: str | None) -> Cells:
    """Reads a list of objects, an object of columns, or lines of objects."""
    text, notes = decode_text(path, encoding)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _json_lines(path, separator, encoding)
        raise
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        return Cells(_of_json(content), notes)
    if isinstance(content, dict):
        if set(content) >= {"columns", "data"}:  # as pandas writes it with orient="split"
            return Cells(_of_json([dict(zip(content["columns"], row, strict=True)) for row in content["data"]]), notes)
        lists = {k: v for k, v in content.items() if isinstance(v, list) and v and all(isinstance(x, dict) for x in v)}
        if len(lists) == 1:
            name, rows = next(iter(lists.items()))
            return Cells(_of_json(rows), [*notes, f"the rows are taken to be those under {name!r}"])
        if all(isinstance(column, list | dict) for column in content.values()):
            columns = {k: list(x.values()) if isinstance(x, dict) else x for k, x in content.items()}
            return Cells(_of_json(columns), notes)
    raise ValueError(
        "it is neither a list of objects, one a row, nor an object of columns. Write one flat object a row, with "
        "image, audio and label"
    )


def _of_json(rows: Any) -> pd.DataFrame:
    """Builds a frame of rows or columns of any values; invalid characters in texts are written out."""
    return pd.DataFrame(rows, dtype=object).map(
        lambda value: cells.writable(value) if isinstance(value, str) else value
    )


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
