"""Reads every distinct file of a table's column once: valid ones to rows of an array, others to a list of reasons.

Rows are held in memory, or cached on disk (`data.prepared.disk`) for the next run.
"""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from torch import Tensor

from sightsound.data.files import FULL_SCALE
from sightsound.data.prepared.disk import DiskStore, StoredRows, TemporaryRows
from sightsound.data.prepared.reading import MISSING, OPEN, Chunk, Item, Reading, read_chunk, write_chunk
from sightsound.data.table import Rejected, Table
from sightsound.downloads import cache_folder
from sightsound.progress import notice, progress_bar

MEMORY_BYTES = 2**27  # of rows that are held in memory; larger stores are on disk
CHUNK = 256  # files per chunk, so that memory stays flat
WORTH_PROCESSES = 2000  # files; below this threads finish before worker processes have started


class Values(Protocol):
    """Rows (1 + n, ...), the first a blank, in memory (a Tensor) or on disk."""

    def __len__(self) -> int: ...
    def __getitem__(self, positions: Tensor) -> Tensor: ...


class Store(NamedTuple):
    """One modality of a table.

    Attributes:
        values: a blank, then a row for each distinct file; waveforms in 16 bits.
        entry: (rows,) the position in `values` for each row of the table; 0, the blank, where it has no file.
        noted: (1 + n,) uint8, the remarks on each; None where the values are on disk, or no remarks were collected.
    """

    values: Values
    entry: Tensor
    noted: NDArray[np.uint8] | None = None

    def checksums(self) -> NDArray[np.uint32]:
        """Returns (rows,) CRC-32 of the content of each row of the table; 0 where it has no file."""
        if isinstance(self.values, StoredRows | TemporaryRows):
            of_values = self.values.checksums
        else:
            of_values = np.array([zlib.crc32(row) for row in np.asarray(self.values)], np.uint32)
        found: NDArray[np.uint32] = np.where(self.entry > 0, of_values[self.entry], 0)
        return found

    def flags(self) -> NDArray[np.uint8]:
        """Returns (rows,) the remarks on the file of each row of the table (`data.remarks`)."""
        of_values = self.values.flags if isinstance(self.values, StoredRows | TemporaryRows) else self.noted
        if of_values is None:
            of_values = np.zeros(len(self.values), np.uint8)
        found: NDArray[np.uint8] = np.where(self.entry > 0, of_values[self.entry], 0).astype(np.uint8)
        return found

    def read(self, entry: Tensor) -> Tensor:
        """(b,) positions -> (b, ...) pixels, waveforms in [-1, 1], or other stored values."""
        rows = self.values[entry]
        return rows.float() / FULL_SCALE if rows.dtype == torch.int16 else rows


def read_store(table: Table, reading: Reading, title: str, folder: Path | None = None) -> tuple[Store, list[Rejected]]:
    """Reads all files of a column.

    Args:
        table: the rows.
        reading: how to read.
        title: title of the progress bar.
        folder: where the rows are cached for the next run; None: in memory, or, where they are many, in a file of the
            cache that is deleted with the store.

    Returns:
        the store, and the table's rows whose file cannot be read; in the store these have no file, and neither have
        those whose file has no valid part.

    Raises:
        StoreError: the folder cannot be written, or the disk is full.
    """
    items, codes = distinct(table, reading.columns)
    values: Values
    noted = None
    if folder is not None:
        found, values, failures = _on_disk(table, items, reading, title, folder)
    elif len(items) * math.prod(reading.shape) * np.dtype(reading.dtype).itemsize > MEMORY_BYTES:
        found, values, failures = _for_now(table, items, reading, title)
    else:
        found, values, noted, failures = _in_memory(table, items, reading, title)
    entry = np.where(codes >= 0, found[codes], 0) if len(items) else np.zeros(len(codes), np.int64)
    bad = np.flatnonzero(np.isin(codes, [i for i, reason in failures.items() if reason != MISSING]))
    numbers, names = table.frame["row"].to_numpy(), table.frame[reading.columns[0]].to_numpy()
    rejected = {
        int(numbers[i]): Rejected(int(numbers[i]), table.display_name(names[i]), failures[codes[i]], reading.columns[0])
        for i in bad
    }
    return Store(values, torch.from_numpy(entry), noted), list(rejected.values())


def distinct(table: Table, columns: list[str]) -> tuple[list[Item], NDArray[np.int64]]:
    """Lists every file (or clip) of a column once, in order; and (rows,) which one a row has, -1 for none."""
    there = (table.frame[columns[0]] != "").to_numpy()
    groups = table.frame.loc[there, columns].groupby(columns, sort=False)
    codes = np.full(len(there), -1)
    codes[there] = groups.ngroup().to_numpy()
    firsts = table.frame.loc[there, columns].to_numpy()[np.unique(codes[there], return_index=True)[1]]
    return [tuple(item) for item in firsts], codes


def _in_memory(
    table: Table, items: list[Item], reading: Reading, title: str
) -> tuple[NDArray[np.int64], Tensor, NDArray[np.uint8], dict[int, str]]:
    values, flags = [np.zeros((1, *reading.shape), reading.dtype)], [np.zeros(1, np.uint8)]
    failures: dict[int, str] = {}
    for start, chunk in _chunks_read(table, items, reading, title):
        values.append(chunk.rows)
        flags.append(chunk.flags)
        failures |= {start + i: reason for i, reason in chunk.reasons.items()}
    return _found(items, failures), torch.from_numpy(np.concatenate(values)), np.concatenate(flags), failures


def _for_now(
    table: Table, items: list[Item], reading: Reading, title: str
) -> tuple[NDArray[np.int64], TemporaryRows, dict[int, str]]:
    values = TemporaryRows(cache_folder() / "now", reading.shape, reading.dtype)
    failures: dict[int, str] = {}
    for start, chunk in _chunks_read(table, items, reading, title):
        values.append(chunk.rows, chunk.flags)
        failures |= {start + i: reason for i, reason in chunk.reasons.items()}
    return _found(items, failures), values, failures


def _chunks_read(table: Table, items: list[Item], reading: Reading, title: str) -> Iterator[tuple[int, Chunk]]:
    calls = (delayed(read_chunk)(reading, paths) for paths in _chunks(table, items, np.arange(len(items))))
    yield from _parallel(calls, len(items), title)


def _found(items: list[Item], failures: dict[int, str]) -> NDArray[np.int64]:
    """Returns the position of each item's row after the blank; 0 for those that cannot be read."""
    found = np.arange(1, len(items) + 1)
    found[list(failures)] = 0
    return found


def _on_disk(
    table: Table, items: list[Item], reading: Reading, title: str, folder: Path
) -> tuple[NDArray[np.int64], StoredRows, dict[int, str]]:
    store = _sound_store(
        folder, reading.shape, reading.dtype, {"what": reading.name, "files": str(table.root.resolve())}
    )
    keys = fingerprints(table, items)
    failures: dict[int, str] = {}
    found = store.find(keys)
    if not found.all():
        with store.system_errors(), store.write_lock():
            missing = np.flatnonzero(store.find(keys) == 0)  # another run may have read some meanwhile
            first = len(store.keys())
            calls = (
                delayed(write_chunk)(reading, paths, store.rows_file, first + CHUNK * number)
                for number, paths in enumerate(_chunks(table, items, missing))
            )
            for start, (checksums, chunk) in _parallel(calls, len(missing), title):
                part = missing[start : start + len(checksums)]
                written = keys[part]
                written[list(chunk.reasons)] = 0
                store.record(written, checksums, chunk.flags)
                failures |= {int(part[i]): reason for i, reason in chunk.reasons.items()}
        found = store.find(keys)
    return found, StoredRows(store), failures


def _sound_store(folder: Path, shape: tuple[int, ...], dtype: str, about: dict[str, object]) -> DiskStore:
    """Opens the store in a folder; replaces a damaged one by an empty one."""
    store = DiskStore(folder, shape, dtype, about)
    if store.has_damage():
        notice(f"The prepared data in {folder} are damaged; they are made anew.")
        store.clear()
        store = DiskStore(folder, shape, dtype, about)
    return store


def derive(
    store: Store, transform: Callable[[Tensor], Tensor], name: str, folder: Path, title: str, shape: tuple[int, ...]
) -> Store:
    """Applies `transform` to the rows of a store, and caches the result on disk.

    Args:
        store: a store on disk.
        transform: (b, ...) as `Store.read` returns them -> (b, *shape) float; not trained.
        name: the name of the transform with all its settings.
        folder: where the rows are cached.
        title: title of the progress bar.
        shape: shape of a row.

    Raises:
        StoreError: the folder cannot be written, or the disk is full.
    """
    if not isinstance(store.values, StoredRows):
        raise TypeError("only what is on disk can be derived from")
    used, codes = torch.unique(store.entry, return_inverse=True)
    keys = store.values.keys[used.numpy()]
    kept = _sound_store(folder, shape, "float32", {"what": name, "files": f"those of {store.values.store.folder.name}"})
    if not _missing(kept, keys).size:  # nothing is written, so that a cache that can only be read serves
        return Store(StoredRows(kept), torch.from_numpy(kept.find(keys))[codes])
    with kept.system_errors(), kept.write_lock():
        missing = _missing(kept, keys)
        with progress_bar(title, len(missing)) as bar:
            for start in range(0, len(missing), CHUNK):
                part = missing[start : start + CHUNK]
                with torch.no_grad():
                    kept.append(keys[part], transform(store.read(used[torch.from_numpy(part)])).float().cpu().numpy())
                bar.update(len(part))
    return Store(StoredRows(kept), torch.from_numpy(kept.find(keys))[codes])


def _missing(kept: DiskStore, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Returns the places of the keys whose rows are not there yet."""
    return np.flatnonzero((kept.find(keys) == 0) & (keys != 0))


def fingerprints(table: Table, items: list[Item]) -> NDArray[np.uint64]:
    """Hashes to 64 bits each file's absolute path, size and time of writing, and what else distinguishes its rows.

    Of bytes, the content is hashed. A fingerprint is never 0, which is the blank's.
    """
    known = np.empty(len(items), object)
    for i, (name, *more) in enumerate(items):
        source = table.source(name)
        if isinstance(source, bytes):
            known[i] = f"{hashlib.sha256(source).hexdigest()}|{more}"
            continue
        path = os.path.abspath(source)
        try:
            status = os.stat(path)
            masks = [os.stat(mask).st_mtime_ns for mask in more if isinstance(mask, str) and os.path.isfile(mask)]
            known[i] = f"{path}|{status.st_size}|{status.st_mtime_ns}|{more}{masks or ''}"
        except (OSError, ValueError):
            known[i] = f"{path}|{more}"
    if not all(map(str.isascii, known)):  # a name that is no UTF-8 has surrogates, which cannot be hashed
        known[:] = [text.encode("utf-8", "backslashreplace").decode() for text in known]
    return pd.util.hash_array(known, categorize=False) | np.uint64(1)


def _chunks(table: Table, items: list[Item], positions: NDArray[np.int64]) -> Iterator[list[Item]]:
    """Yields the items at these positions, with the paths or the bytes of their files, `CHUNK` at a time."""
    for start in range(0, len(positions), CHUNK):
        chosen = [(table.source(items[i][0]), *items[i][1:]) for i in positions[start : start + CHUNK]]
        yield [(str(source) if isinstance(source, Path) else source, *more) for source, *more in chosen]


def _parallel(calls: Iterator[Any], files: int, title: str) -> Iterator[tuple[int, Any]]:
    """Runs calls that read `CHUNK` files each, in worker processes if that is worth their start; results in order.

    Yields:
        number of files before, and the result of the call.
    """
    jobs = max(min(os.cpu_count() or 1, math.ceil(files / CHUNK)), 1)
    if files >= WORTH_PROCESSES:
        workers = Parallel(jobs, return_as="generator", pre_dispatch="2*n_jobs", idle_worker_timeout=10)
    else:
        workers = Parallel(jobs, "threading", return_as="generator", pre_dispatch="2*n_jobs")
    try:
        with progress_bar(title, files) as bar:
            for number, result in enumerate(workers(calls)):
                bar.update(min(CHUNK, files - CHUNK * number))
                yield CHUNK * number, result
    finally:
        OPEN.close()
