"""All files of a table decoded once, before the first epoch: good ones to tensors, bad ones to a list of reasons."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.data.table import Rejected, Table
from sightsound.errors import FileError
from sightsound.progress import progress_bar

T = TypeVar("T")
CHUNK = 256  # files decoded before the result is handed on, so that memory stays flat


class Store(NamedTuple):
    """One modality of a table.

    Attributes:
        values: (1 + n, ...) a blank, then one entry for each distinct file.
        entry: (rows,) the entry of each row; 0, the blank, where the row has no file.
    """

    values: Tensor
    entry: Tensor


def each_file(table: Table, modality: str, read: Callable[[str], T], title: str) -> Iterator[tuple[str, T | FileError]]:
    """Applies `read` to each distinct file of a column, in order, in threads; a bad file gives its error.

    Yields:
        the file as the table names it, and what `read` gave or the FileError it raised.
    """

    def attempt(name: str) -> T | FileError:
        try:
            return read(str(table.path(name)))
        except FileError as error:
            return error

    files = distinct_files(table, modality)
    with ThreadPoolExecutor(os.cpu_count()) as threads, progress_bar(title, len(files)) as bar:
        for start in range(0, len(files), CHUNK):
            chunk = files[start : start + CHUNK]
            for name, result in zip(chunk, threads.map(attempt, chunk), strict=True):
                bar.update()
                yield name, result


def distinct_files(table: Table, modality: str) -> list[str]:
    """Every file of a column once, in order of appearance."""
    return [str(name) for name in table.frame[modality].unique() if name != ""]


def rejections(table: Table, modality: str, failures: dict[str, FileError]) -> list[Rejected]:
    """The rows that name a file that failed."""
    names = table.frame[modality]
    bad = names[names.isin(failures.keys())]
    named = zip(bad.index.tolist(), bad.tolist(), strict=True)
    return [Rejected(row, str(table.path(name)), failures[name].reason) for row, name in named]


def build_store(
    table: Table,
    modality: str,
    blank: Tensor,
    read: Callable[[str], NDArray[np.generic]],
    transform: Callable[[Tensor], Tensor],
) -> tuple[Store, list[Rejected]]:
    """Decodes every file of a modality and keeps what `transform` makes of it.

    Args:
        table: the rows.
        modality: the column.
        blank: what stands in for an absent file; zeros of the shape and type that `read` gives.
        read: path -> array, all of one shape.
        transform: (b, ...) decoded -> (b, ...) to keep, for instance waveforms -> log-mel frames.

    Returns:
        the store, and the rows whose file cannot be read; in the store these have no file.
    """
    kept: list[Tensor] = []
    waiting = [blank]
    place: dict[str, int] = {}
    failures: dict[str, FileError] = {}

    def flush() -> None:
        if waiting:
            kept.append(transform(torch.stack(waiting)))
            waiting.clear()

    for name, result in each_file(table, modality, read, f"reading {modality}"):
        if isinstance(result, FileError):
            failures[name] = result
            continue
        place[name] = 1 + len(place)
        waiting.append(torch.from_numpy(result))
        if len(waiting) == CHUNK:
            flush()
    flush()
    entry = torch.tensor([place.get(name, 0) for name in table.frame[modality]], dtype=torch.long)
    return Store(torch.cat(kept), entry), rejections(table, modality, failures)
