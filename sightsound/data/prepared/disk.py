"""The preprocessed cache: arrays on disk that grow by rows, each with a key, so that no file is decoded twice.

A folder holds `rows.bin` (all rows in order, the first a blank) and `index.bin` (key, checksum and flags of each row).
A row is valid once its record is in the index, so a killed writer loses its last chunk and nothing else, and a resumed
build gives the same as an uninterrupted one. There is one writer at a time.
"""

from __future__ import annotations

import math
import os
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from sightsound.data.prepared.cache import mark
from sightsound.errors import StoreError
from sightsound.progress import notice

RECORD = np.dtype([("key", "<u8"), ("checksum", "<u4"), ("flags", "u1")])
FORMAT = "2"  # raised when the layout of the files changes; caches of older versions are rebuilt
_reading = threading.Lock()  # guards a seek in an open file and the read after it
CHECKED_ROWS = 10_000  # rows that are compared with their checksums at each start, drawn evenly


class DiskStore:
    """Rows of one shape and type in a folder.

    Args:
        folder: the folder, created if need be.
        shape: shape of a row.
        dtype: type of a row.
        about: JSON values, written beside the rows for people who look for disk space.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str, about: dict[str, object]) -> None:
        self.folder = folder
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.rows_file, self.index_file = folder / "rows.bin", folder / "index.bin"
        if self.rows_file.exists() and len(self.keys()) and not os.access(folder, os.W_OK):
            return  # on a read-only disk the existing rows are used unchanged
        with self.system_errors():
            folder.mkdir(parents=True, exist_ok=True)
            with self.write_lock():
                mark(folder, about)
                written = folder / "format"
                form = f"{FORMAT} {self.dtype} {self.shape}"
                if not (self.rows_file.exists() and written.exists() and written.read_text() == form):
                    self.clear()
                    written.write_text(form)
                self._cut_to_whole_rows()
                if not len(self.keys()):
                    self.append(np.zeros(1, np.uint64), np.zeros((1, *shape), self.dtype))

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """A context that only one process enters at a time; the others wait."""
        lock = FileLock(self.folder.with_suffix(".lock"))
        try:
            lock.acquire(timeout=1)
        except Timeout:
            notice(f"Waiting for another run that prepares the same data ({self.folder}) ...")
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def records(self) -> NDArray[np.void]:
        """Returns (1 + n,) key, checksum and flags of each row."""
        return np.fromfile(self.index_file, RECORD) if self.index_file.exists() else np.zeros(0, RECORD)

    def keys(self) -> NDArray[np.uint64]:
        """Returns (1 + n,) the key of each row; 0 is the blank's."""
        keys: NDArray[np.uint64] = self.records()["key"]
        return keys

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Returns (n,) the row of each key, 0 where it is missing."""
        known = self.keys()
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known, keys, sorter=order).clip(max=len(known) - 1)
        found: NDArray[np.int64] = np.where(known[order[place]] == keys, order[place], 0)
        return found

    def append(self, keys: NDArray[np.uint64], rows: NDArray[np.generic]) -> None:
        """Adds rows (n, *shape) under their keys (n,), without flags. The caller is `writing`.

        Raises:
            StoreError: the disk is full.
        """
        rows = np.ascontiguousarray(rows, self.dtype)
        with self.system_errors():
            with self.rows_file.open("ab") as file:
                file.write(rows.tobytes())
            self.record(keys, [zlib.crc32(row) for row in rows], np.zeros(len(keys), np.uint8))

    def record(self, keys: NDArray[np.uint64], checksums: list[int], flags: NDArray[np.uint8]) -> None:
        """Adds records of rows already written at the end of `rows_file`; key 0: a row that is never found."""
        records = np.zeros(len(keys), RECORD)
        records["key"] = keys
        records["checksum"] = checksums
        records["flags"] = flags
        with self.system_errors(), self.index_file.open("ab") as file:
            file.write(records.tobytes())

    @contextmanager
    def system_errors(self) -> Iterator[None]:
        """Turns system errors of disk and permission into a StoreError."""
        with _said(self.folder):
            yield

    def has_damage(self) -> bool:
        """Returns whether any of a sample of rows, at most `CHECKED_ROWS`, differs from what was written."""
        records = self.records()
        count = min(len(records), CHECKED_ROWS)
        chosen = np.sort(np.random.default_rng().choice(len(records), count, replace=False))
        with self.rows_file.open("rb", buffering=0) as file:
            return any(zlib.crc32(self.row(file, i)) != records["checksum"][i] for i in chosen.tolist())

    def row(self, file: FileIO, position: int) -> bytes:
        """Reads the bytes of a row from the open `rows_file`; fewer where the file ends."""
        file.seek(position * self.row_bytes)
        return file.read(self.row_bytes)

    def clear(self) -> None:
        """Removes all rows; the next opening starts with an empty store."""
        for path in (self.index_file, self.rows_file):
            path.unlink(missing_ok=True)

    def _cut_to_whole_rows(self) -> None:
        """Removes what a killed writer left half-written."""
        if not self.rows_file.exists() or not self.index_file.exists():
            return
        rows = self.rows_file.stat().st_size // self.row_bytes
        whole = min(rows, self.index_file.stat().st_size // RECORD.itemsize)
        for path, size in ((self.index_file, RECORD.itemsize), (self.rows_file, self.row_bytes)):
            with path.open("r+b") as file:
                file.truncate(whole * size)


SPACE = "`sightsound data clean` shows what takes the space; SIGHTSOUND_CACHE=FOLDER puts it elsewhere."


@contextmanager
def _said(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{folder}: the prepared data cannot be kept there: {error}. {SPACE}") from error


class StoredRows:
    """The rows of a `DiskStore`: indexing reads only the requested rows into a new tensor.

    Rows are read and not mapped into memory: the system maps far more around each row than the row, so that in time
    all of the store would be resident.

    Args:
        store: a complete store; rows added later are not visible.
    """

    def __init__(self, store: DiskStore) -> None:
        self.store = store
        records = store.records()
        self.keys, self.checksums, self.flags = records["key"], records["checksum"], records["flags"]
        self.file = store.rows_file.open("rb", buffering=0)

    def __reduce__(self) -> tuple[type[StoredRows], tuple[DiskStore]]:
        """Makes another process open the file for itself."""
        return StoredRows, (self.store,)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, positions: Tensor) -> Tensor:
        """(n,) -> (n, *shape). Raises StoreError if the file was truncated meanwhile."""
        return _read_rows(self.file, positions, self.store.shape, self.store.dtype)


class TemporaryRows:
    """Rows on disk for as long as this object lives, in a file without a name that no process can leave behind.

    Args:
        folder: a folder on the disk to use; created if need be.
        shape: shape of a row.
        dtype: type of a row.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str) -> None:
        self.folder, self.shape, self.dtype = folder, shape, np.dtype(dtype)
        self.checksums, self.flags = np.zeros(0, np.uint32), np.zeros(0, np.uint8)
        with _said(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - open as long as the rows are
        self.append(np.zeros((1, *shape), self.dtype), np.zeros(1, np.uint8))

    def append(self, rows: NDArray[Any], flags: NDArray[np.uint8]) -> None:
        """Adds rows (n, *shape) with their flags (n,). Raises StoreError: the disk is full."""
        with _said(self.folder):
            self.file.seek(0, os.SEEK_END)
            left = memoryview(np.ascontiguousarray(rows, self.dtype).tobytes())
            while left:
                left = left[self.file.write(left) :]
        self.checksums = np.append(self.checksums, np.array([zlib.crc32(row) for row in rows], np.uint32))
        self.flags = np.append(self.flags, flags)

    def __len__(self) -> int:
        return len(self.flags)

    def __getitem__(self, positions: Tensor) -> Tensor:
        """(n,) -> (n, *shape)."""
        return _read_rows(self.file, positions, self.shape, self.dtype)


def _read_rows(file: FileIO, positions: Tensor, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
    """Reads (n,) -> (n, *shape) from a file of rows, by one thread at a time."""
    rows = np.empty((len(positions), *shape), dtype)
    size = dtype.itemsize * math.prod(shape)
    content = rows.reshape(len(positions), math.prod(shape)).view(np.uint8)
    with _reading:
        for position, row in zip(positions.tolist(), content, strict=True):
            file.seek(position * size)
            if file.readinto(row.data) != size:
                raise StoreError(f"{file.name}: cut off while it was in use. Begin again.")
    return torch.from_numpy(rows)
