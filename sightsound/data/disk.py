"""Arrays on disk that grow by rows, each known by a key: what was read once from a file need not be read again.

A folder holds `rows.bin` (all rows one after the other, the first a blank) and `index.bin` (key and checksum of each
row). A row counts once its record stands in the index, so a killed writer loses its last chunk and nothing else, and a
build that goes on is the same as one that begins. One writer at a time; readers map the file into memory.
"""

from __future__ import annotations

import json
import mmap
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from torch import Tensor

from sightsound.errors import StoreError
from sightsound.progress import notice

RECORD = np.dtype([("key", "<u8"), ("checksum", "<u4")])
CHECKED_ROWS = 10_000  # read again at each start and compared with the checksums, drawn evenly
MAPPED_BYTES = 32_000_000  # read before the memory that the mapping took is given back


class DiskStore:
    """Rows of one shape and type in a folder.

    Args:
        folder: made if need be.
        shape: of a row.
        dtype: of a row.
        about: anything that JSON takes, kept beside the rows for people who look what takes the space.

    Raises:
        StoreError: the folder cannot be written.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: str, about: dict[str, object]) -> None:
        self.folder = folder
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.row_bytes = self.dtype.itemsize * int(np.prod(shape))
        self.rows_file, self.index_file = folder / "rows.bin", folder / "index.bin"
        with self.said():
            folder.mkdir(parents=True, exist_ok=True)
            with self.writing():
                (folder / "about.json").write_text(json.dumps(about, indent=1))
                if not self.rows_file.exists():
                    self.index_file.unlink(missing_ok=True)
                self._cut_to_whole_rows()
                if not len(self.keys()):
                    self.append(np.zeros(1, np.uint64), np.zeros((1, *shape), self.dtype))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Only one process at a time comes in here; the others wait."""
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

    def keys(self) -> NDArray[np.uint64]:
        """(1 + n,) the key of each row; 0 is the blank's."""
        if not self.index_file.exists():
            return np.zeros(0, np.uint64)
        return np.fromfile(self.index_file, RECORD)["key"]

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """(n,) the row of each key, 0 where it is not there."""
        known = self.keys()
        order = np.argsort(known, kind="stable")
        place = np.searchsorted(known, keys, sorter=order).clip(max=len(known) - 1)
        found: NDArray[np.int64] = np.where(known[order[place]] == keys, order[place], 0)
        return found

    def append(self, keys: NDArray[np.uint64], rows: NDArray[np.generic]) -> None:
        """Adds rows (n, *shape) under their keys (n,). The caller is `writing`.

        Raises:
            StoreError: the disk is full.
        """
        rows = np.ascontiguousarray(rows, self.dtype)
        with self.said():
            with self.rows_file.open("ab") as file:
                file.write(rows.tobytes())
            self.record(keys, [zlib.crc32(row) for row in rows])

    def record(self, keys: NDArray[np.uint64], checksums: list[int]) -> None:
        """Makes rows count that stand in `rows_file` after those that count; key 0: one that is not to be found."""
        records = np.zeros(len(keys), RECORD)
        records["key"] = keys
        records["checksum"] = checksums
        with self.said(), self.index_file.open("ab") as file:
            file.write(records.tobytes())

    @contextmanager
    def said(self) -> Iterator[None]:
        """Turns what the system says about disk and permission into a StoreError."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{self.folder}: the prepared data cannot be kept there: {error}. {SPACE}") from error

    def damaged(self) -> bool:
        """Whether some of the rows, up to `CHECKED_ROWS` and drawn by chance, differ from what was written."""
        records = np.fromfile(self.index_file, RECORD)
        count = min(len(records), CHECKED_ROWS)
        chosen = np.sort(np.random.default_rng().choice(len(records), count, replace=False))
        rows = np.memmap(self.rows_file, self.dtype, "r", shape=(len(records), *self.shape))
        return any(zlib.crc32(rows[i]) != records["checksum"][i] for i in chosen)

    def clear(self) -> None:
        """Forgets all rows; the next opening begins anew."""
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


class MappedRows:
    """The rows of a `DiskStore`, read in place: indexing copies the rows asked for and nothing else.

    Args:
        store: complete; rows added later are not seen.
    """

    def __init__(self, store: DiskStore) -> None:
        self.folder, self.keys = store.folder, store.keys()
        count = len(self.keys)
        mapped = np.memmap(store.rows_file, store.dtype, "c", shape=(count, *store.shape))  # "c": torch wants to write
        self.map: mmap.mmap = mapped._mmap  # type: ignore[attr-defined]
        self.rows = torch.from_numpy(mapped)
        self.row_bytes = store.row_bytes
        self.read_bytes = 0

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Tensor) -> Tensor:
        """(n,) -> (n, *shape)."""
        self.read_bytes += self.row_bytes * len(positions)
        if self.read_bytes > MAPPED_BYTES and hasattr(mmap, "MADV_DONTNEED"):
            self.map.madvise(mmap.MADV_DONTNEED)  # the pages stay in the system's cache, but are no longer ours
            self.read_bytes = 0
        return self.rows[positions]
