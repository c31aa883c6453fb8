"""How files become rows of arrays, in whatever process; worker processes import it, so it imports nothing heavy."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsound.data.files import FULL_SCALE, probe_audio, probe_image
from sightsound.errors import FileError, NothingLeftError

MISSING = ""  # the reason for a file of which nothing is left: as if it were not there
Item = tuple[Any, ...]  # a file as the table names it, and what else tells its rows apart


@dataclass(frozen=True)
class Reading:
    """How the files of a modality become rows.

    Attributes:
        read: (path, and by name what the other columns hold) -> array, all of one shape; raises FileError.
        shape: of a row.
        dtype: of a row; "int16" takes waveforms in [-1, 1].
        name: of what `read` gives, in words and numbers, so that other settings are kept apart.
        columns: of the table that `read` takes: the modality's own, `start_seconds` of sounds cut into clips, and where
            damaged parts are repaired its mask's.
    """

    read: Callable[..., NDArray[Any]]
    shape: tuple[int, ...]
    dtype: str
    name: str
    columns: list[str]


def read_chunk(reading: Reading, items: list[Item]) -> tuple[NDArray[Any], dict[int, str]]:
    """Reads some files, given by their paths.

    Returns:
        a row for each, zeros for one that cannot be read; and the reasons for these, MISSING where nothing is left.
    """
    rows = np.zeros((len(items), *reading.shape), reading.dtype)
    scale = FULL_SCALE if reading.dtype == "int16" else 1
    reasons = {}
    for i, (path, *more) in enumerate(items):
        try:
            found = reading.read(path, **dict(zip(reading.columns[1:], more, strict=True)))
            np.multiply(found, scale, out=rows[i], casting="unsafe")
        except NothingLeftError:
            reasons[i] = MISSING
        except FileError as error:
            reasons[i] = error.reason
    return rows, reasons


def write_chunk(reading: Reading, items: list[Item], file: Path, row: int) -> tuple[list[int], dict[int, str]]:
    """Same as `read_chunk`, with the rows written in their place in a file.

    Args:
        reading: how.
        items: to read.
        file: of rows, one after the other.
        row: place of the first item's row.

    Returns:
        the checksum of every row, and reasons.

    Raises:
        OSError: the disk is full.
    """
    rows, reasons = read_chunk(reading, items)
    with open(file, "r+b") as content:
        content.seek(row * rows[0].nbytes)
        content.write(rows.data)
    return [zlib.crc32(one) for one in rows], reasons


def image_header(path: str) -> NDArray[np.float64]:
    """(height, width, whether there is colour) from the header alone. Raises FileError."""
    return np.array(probe_image(path), np.float64)


def audio_header(path: str) -> NDArray[np.float64]:
    """(seconds,) from the header alone. Raises FileError."""
    return np.array([probe_audio(path)])
