"""Turns a column of a table into text: a value as a person writes it, a path of this system, bytes by a name.

Whatever a program wrote into the cells (numbers, None, paths, dicts with bytes) becomes a string here, or an error.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sightsound.data.opened import as_path

WHOLE = re.compile(r"-?\d+\.0+")  # how programs write whole numbers in a column that also has empty cells


class CellError(ValueError):
    """A cell with an invalid value: its place from 0, and the reason."""

    def __init__(self, place: int, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def texts(column: Iterable[Any]) -> list[str]:
    """Writes values as a person would: 7 for 7.0, "" for None and NaN, no blanks around, one form of accents.

    Raises:
        CellError: a cell holds more than one value.
    """
    found = [_text(value, place) for place, value in enumerate(column)]
    known = set(found)
    whole = {text: text.partition(".")[0] for text in known if WHOLE.fullmatch(text)}
    # 1 and 1.0 in one column are two names, such as those of versions
    return [whole.get(text, text) if whole.get(text) not in known else text for text in found]


def _text(value: Any, place: int) -> str:
    if isinstance(value, str):
        return writable(unicodedata.normalize("NFC", value).strip())
    if is_empty(value):
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace").strip()
    if isinstance(value, dict | list | tuple | set) or np.ndim(value):
        raise CellError(place, f"{str(value)[:60]} is a {type(value).__name__}, and one value is needed")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def writable(text: str) -> str:
    """Returns the text in a form that can be written to files: undecodable bytes are written out."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def is_empty(value: Any) -> bool:
    """Returns whether a cell is empty: None, NaN, NaT and similar values."""
    return value is None or (pd.api.types.is_scalar(value) and bool(pd.isna(value)))


def paths(column: Iterable[Any], root: Path, contents: dict[str, bytes | Path]) -> list[str]:
    """Returns the paths of files in the form of this system, "" where there is none.

    Args:
        root: the folder of relative paths.
        column: paths; or bytes, or dicts with "bytes" and "path" as Hugging Face writes them.
        contents: gets the files given as bytes, and paths that cannot be written as text, under the name in the cell;
            equal bytes have one name.

    Raises:
        CellError: a cell holds anything else.
    """
    return [_path(value, place, root, contents) for place, value in enumerate(column)]


def _path(value: Any, place: int, root: Path, contents: dict[str, bytes | Path]) -> str:
    if isinstance(value, str):
        return _written(value.strip(), root, contents)
    if is_empty(value):
        return ""
    name = ""
    if isinstance(value, dict) and {"bytes", "path"} & set(value):
        name = value.get("path") or ""
        if not isinstance(name, str):
            raise CellError(place, f"its path is a {type(name).__name__}, and a text is needed")
        value = value.get("bytes")
        if not value:
            return _written(name, root, contents)
    if isinstance(value, bytes | bytearray | memoryview):
        if not len(value):
            return ""
        known = f"{writable(name) or 'bytes'}#{hashlib.sha256(value).hexdigest()[:12]}"
        contents[known] = bytes(value)
        return known
    if isinstance(value, os.PathLike):
        return _written(str(os.fspath(value)), root, contents)
    kind = type(value).__name__
    raise CellError(place, f'a {kind} is given; it takes a path, bytes, or {{"bytes": ..., "path": ...}}')


def _written(text: str, root: Path, contents: dict[str, bytes | Path]) -> str:
    """Returns a path in the form of this system; one in the form of another system becomes absolute."""
    if not text.isascii():
        shown = writable(text)
        if shown != text:  # bytes that are invalid in the system's encoding
            contents[shown] = root / text
            return shown
    return str(as_path(text, root).absolute()) if text.startswith(("~", "file:")) or "\\" in text else text
