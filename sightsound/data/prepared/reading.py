"""Reads files into rows of arrays, in any process; worker processes import this file, so it imports nothing heavy."""

from __future__ import annotations

import itertools
import os
import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsound.data.files import (
    FULL_SCALE,
    Sound,
    Source,
    open_sound,
    probe_audio,
    probe_image,
)
from sightsound.data.remarks import collect, pack
from sightsound.errors import FileError, NothingLeftError

MISSING = ""  # the reason for a file without any valid part, which counts as missing
START = "start_seconds"  # the column that distinguishes the clips of a sound
Item = tuple[Any, ...]  # a file as the table names it, and what else distinguishes its rows


@dataclass(frozen=True)
class Reading:
    """How the files of a modality become rows.

    Attributes:
        read: (path or bytes, and by name the values of the other columns) -> array, all of one shape; raises FileError.
        shape: shape of a row.
        dtype: type of a row; "int16" takes waveforms in [-1, 1].
        name: a name for the result of `read`, in words and numbers, so that each setting has its own cache.
        columns: the table's columns that `read` takes: the modality's own, `start_seconds` of sounds cut into clips,
            and that of its mask where damaged parts are interpolated.
    """

    read: Callable[..., NDArray[Any]]
    shape: tuple[int, ...]
    dtype: str
    name: str
    columns: list[str]


class Chunk(NamedTuple):
    """The rows of some files.

    Attributes:
        rows: (n, ...) a row for each file, zeros for one that cannot be read.
        flags: (n,) uint8, the remarks on each (`data.remarks`).
        reasons: why some cannot be read, by their position; MISSING where no valid part is left.
    """

    rows: NDArray[Any]
    flags: NDArray[np.uint8]
    reasons: dict[int, str]


def read_chunk(reading: Reading, items: list[Item]) -> Chunk:
    """Reads some files, given as paths or bytes; a sound whose clips follow one another is opened once."""
    chunk = Chunk(np.zeros((len(items), *reading.shape), reading.dtype), np.zeros(len(items), np.uint8), {})
    scale = FULL_SCALE if reading.dtype == "int16" else 1
    i = 0
    for source, clips in itertools.groupby(items, key=lambda item: item[0]):
        given: Any = source
        for _, *more in clips:
            try:
                with collect() as remarks:
                    if START in reading.columns and given is source:
                        given = OPEN.take(source)
                    found = reading.read(given, **dict(zip(reading.columns[1:], more, strict=True)))
                np.multiply(found, scale, out=chunk.rows[i], casting="unsafe")
                chunk.flags[i] = pack(remarks)
            except NothingLeftError:
                chunk.reasons[i] = MISSING
            except FileError as error:
                chunk.reasons[i] = error.reason
            i += 1
        if given is not source:
            OPEN.leave(source, given, i == len(items) and not chunk.reasons)
    return chunk


class OpenSounds:
    """Sounds that stay open from one chunk of clips to the next, so that even one without an index is read in one pass.

    A sound is used by one reader at a time; a second reader opens it again.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.left: dict[tuple[str, int, int], Sound] = {}  # by path, size and time of writing; the oldest first

    def take(self, source: Source) -> Sound:
        """Returns the sound of a path or of bytes; to be returned by `leave`. Raises FileError."""
        with self.lock:
            found = self.left.pop(self._key(source), None)
        return found or open_sound(source).__enter__()

    def leave(self, source: Source, sound: Sound, goes_on: bool) -> None:
        """Closes a sound, unless the next chunk may continue it."""
        closed = [sound]
        if goes_on and not isinstance(source, bytes):
            with self.lock:
                key, closed = self._key(source), []
                if key in self.left:
                    closed.append(self.left.pop(key))
                while len(self.left) >= self.most:
                    closed.append(self.left.pop(next(iter(self.left))))
                self.left[key] = sound
        for one in closed:
            one.close()

    def close(self) -> None:
        """Closes all sounds that are not in use."""
        with self.lock:
            closed = [self.left.pop(key) for key in [*self.left]]
        for one in closed:
            one.close()

    def _key(self, source: Source) -> tuple[str, int, int]:
        try:
            status = os.stat("" if isinstance(source, bytes) else source)
        except (OSError, ValueError):
            return "", 0, 0  # the reader raises the error
        return str(source), status.st_size, status.st_mtime_ns


OPEN = OpenSounds(most=4)


def write_chunk(reading: Reading, items: list[Item], file: Path, row: int) -> tuple[list[int], Chunk]:
    """Does what `read_chunk` does and writes the rows to their places in a file.

    Args:
        reading: how to read.
        items: the files to read.
        file: a file of consecutive rows.
        row: place of the first item's row.

    Returns:
        the checksum of every row; and the chunk without its rows.

    Raises:
        OSError: the disk is full.
    """
    chunk = read_chunk(reading, items)
    with open(file, "r+b") as content:
        content.seek(row * chunk.rows[0].nbytes)
        content.write(chunk.rows.data)
    return [zlib.crc32(one) for one in chunk.rows], chunk._replace(rows=chunk.rows[:0])


def image_header(source: Source) -> NDArray[np.float64]:
    """Returns (height, width, whether there is colour, white) of `probe_image`. Raises FileError."""
    return np.array(probe_image(source), np.float64)


def audio_header(source: Source) -> NDArray[np.float64]:
    """Returns (seconds,), from the header where that can be trusted. Raises FileError."""
    return np.array([probe_audio(source)])
