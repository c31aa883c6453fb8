"""Remarks on readable files, which pass from the reader to the store as flags beside the row.

A reader calls `remark`; whoever stores its result calls `collect`; `sentences` words the remarks for users.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING

import numpy as np

from sightsound.modalities.base import modality

if TYPE_CHECKING:
    from sightsound.data.prepared.store import Store
    from sightsound.data.table import Table


class Remark(enum.IntFlag):
    """Kinds of remarks; at most eight, since they are stored in one byte."""

    CONSTANT = 1  # all pixels of an image are equal, or a sound is silent
    CANCELLED = 2  # the channels of a sound cancel each other; the louder one was taken
    GUESSED = 4  # an image does not declare which values are black and white (see `data.depth`)
    BEYOND = 8  # an image has values above the white that holds for all
    CUT = 16  # a sound is longer than the clip


_collected: ContextVar[list[Remark] | None] = ContextVar("collected", default=None)


def are_collected() -> bool:
    """Returns whether remarks are collected; if not, costly checks are skipped."""
    return _collected.get() is not None


def remark(kind: Remark) -> None:
    """Adds a remark on the file that is being read; has no effect where none are collected."""
    collected = _collected.get()
    if collected is not None:
        collected.append(kind)


@contextlib.contextmanager
def collect() -> Iterator[list[Remark]]:
    """A context that collects the remarks on everything that this thread reads in it."""
    found: list[Remark] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def sentences(stores: Mapping[str, Store], table: Table) -> list[str]:
    """Words the remarks on a table's files, one sentence for each kind.

    Args:
        stores: the store of each modality, over the rows of the table.
        table: the rows; where sounds are cut, a row for each clip.
    """
    said = []
    for name, store in stores.items():
        entry = store.entry.numpy()
        first = {int(e): i for i, e in reversed(list(enumerate(entry))) if e > 0}  # the first row of each file
        flags = store.flags()
        known = modality(name)
        clips = "start_seconds" in table.frame and known.cuts_clips
        noun = f"clips of {known.plural}" if clips else known.plural
        for kind, (words, _) in known.remarks.items():
            rows = [i for i in sorted(first.values()) if flags[i] & kind] if words else []
            if rows:
                row = table.frame.iloc[rows[0]]
                where = f"{row[name]} (row {row['row']}"
                where += f", at {row['start_seconds']:g} s)" if clips else ")"
                said.append(f"{len(rows)} of {len(first)} {noun} {words}, for instance {where}.")
    return said


def pack(found: list[Remark]) -> int:
    """Packs remarks into one byte."""
    return int(np.bitwise_or.reduce(np.array(found, np.uint8))) if found else 0


def words(name: str, flags: int) -> str:
    """Words the remarks on one file of a modality, "" for none."""
    return "; ".join(of_one for kind, (_, of_one) in modality(name).remarks.items() if flags & kind)
