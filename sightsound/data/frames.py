"""DataFrames that users give in place of a table: rows numbered from 0, columns by name, warnings of missing ones."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import pandas as pd

from sightsound.errors import InputError


def with_row_numbers(given: Any) -> pd.DataFrame:
    """X with its rows numbered from 0. Raises InputError."""
    if not isinstance(given, pd.DataFrame):
        raise InputError(
            f"X is a {type(given).__name__}. It takes a pandas DataFrame with the columns image and audio, no array or "
            'sparse matrix. A step of a Pipeline gives one on with .set_output(transform="pandas").'
        )
    return given.reset_index(drop=True)


def warn_of_missing(frame: pd.DataFrame, columns: Iterable[str], consequence: str) -> None:
    """Warns of each column of files that X does not have, since its name may only be misspelt."""
    for column in columns:
        if not columns_by_name(frame, column):
            warnings.warn(f"X has no column {column!r}: {consequence}.", stacklevel=3)


def columns_by_name(frame: pd.DataFrame, name: str) -> list[Any]:
    """The columns of a name, whatever their case and the blanks around them."""
    return [column for column in frame if str(column).strip().casefold() == name.strip().casefold()]
