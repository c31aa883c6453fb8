"""How files become rows of arrays, in whatever process; worker processes import it, so it imports nothing heavy."""

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

MISSING = ""  # the reason for a file of which nothing is left: as if it were not there
START = "start_seconds"  # the column that tells the clips of a sound apart
Item = tuple[Any, ...]  # a file as the table names it, and what else tells its rows apart


@dataclass(frozen=True)
class Reading:
    """How the files of a modality become rows.

    Attributes:
        read: (path or bytes, and by name what the other columns hold) -> array, all of one shape; raises FileError.
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


class Chunk(NamedTuple):
    """Some files as they were read.

    Attributes:
        rows: (n, ...) one for each, zeros for one that cannot be read.
        flags: (n,) uint8, what is remarkable about each (`data.remarks`).
        reasons: why some cannot be read, by their position; MISSING where nothing is left.
    """

    rows: NDArray[Any]
    flags: NDArray[np.uint8]
    reasons: dict[int, str]


def read_chunk(reading: Reading, items: list[Item]) -> Chunk:
    """Reads some files, given by their paths or as bytes; a sound whose clips follow one another is opened once."""
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

    A sound is with one reader at a time; another one that wants it opens it again.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.lock = threading.Lock()
        self.left: dict[tuple[str, int, int], Sound] = {}  # by path, size and time of writing; the oldest first

    def take(self, source: Source) -> Sound:
        """Of a path or of bytes; to be handed back by `leave`. Raises FileError."""
        with self.lock:
            found = self.left.pop(self._key(source), None)
        return found or open_sound(source).__enter__()

    def leave(self, source: Source, sound: Sound, goes_on: bool) -> None:
        """Closes a sound, unless the next chunk may go on with it."""
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
        """All that nobody is reading."""
        with self.lock:
            closed = [self.left.pop(key) for key in [*self.left]]
        for one in closed:
            one.close()

    def _key(self, source: Source) -> tuple[str, int, int]:
        try:
            status = os.stat("" if isinstance(source, bytes) else source)
        except (OSError, ValueError):
            return "", 0, 0  # the reader says what is wrong with it
        return str(source), status.st_size, status.st_mtime_ns


OPEN = OpenSounds(most=4)


def write_chunk(reading: Reading, items: list[Item], file: Path, row: int) -> tuple[list[int], Chunk]:
    """Same as `read_chunk`, with the rows written in their place in a file.

    Args:
        reading: how.
        items: to read.
        file: of rows, one after the other.
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
    """(height, width, whether there is colour, white) as `probe_image` gives them. Raises FileError."""
    return np.array(probe_image(source), np.float64)


def audio_header(source: Source) -> NDArray[np.float64]:
    """(seconds,) from the header, where that can be trusted. Raises FileError."""
    return np.array([probe_audio(source)])
