"""Decodes a table for training and prediction alike: Table -> (data.files) -> Rows of decoded files."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.config import Config, mask_columns
from sightsound.data.clips import cut_into_clips
from sightsound.data.dataset import Rows
from sightsound.data.interpolated import Mended
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.reading import Reading
from sightsound.data.prepared.store import Store, read_store
from sightsound.data.remarks import Remark, collect, pack
from sightsound.data.table import Rejected, Table, times_of
from sightsound.missing import OverTime
from sightsound.modalities.base import modality
from sightsound.types import INTERPOLATIONS, Batch

CHUNK_ROWS = 2048  # rows of a table held in memory at once while predicting
READER = 3  # raised when decoding changes, so that older caches are not used
NAMED_IN_SUMMARY, KINDS_IN_SUMMARY = 10, 5


def reader(config: Config, name: str) -> functools.partial[NDArray[Any]]:
    """Returns the function that reads a file of a modality as configured; it raises FileError."""
    how, options = modality(name), reader_options(config, name)
    read = how.interpolation.read if how.interpolation and "repair" in options else how.read
    return functools.partial(read, **options)


def reader_options(config: Config, name: str) -> dict[str, Any]:
    """Returns the arguments for reading a modality's files; `repair` is one where the policy interpolates."""
    options = modality(name).read_options(getattr(config, name))
    return {**options, "repair": getattr(config.missing, name)} if interpolates(config, name) else options


def interpolates(config: Config, name: str) -> bool:
    """Returns whether damaged parts of a modality's files are interpolated."""
    return getattr(config.missing, name) in INTERPOLATIONS and modality(name).interpolation is not None


def decode_given(config: Config, name: str, given: Any, **where: float) -> Mended:
    """Decodes a given file or value as `reader` does, and measures what was interpolated in it.

    Args:
        config: the configuration with all sizes set.
        name: the name of the modality.
        given: a file, or a value in its place.
        where: `start_seconds`, of a modality that is cut into clips.

    Raises:
        FileError: it cannot be read; NothingLeftError: all of it is damaged.
    """
    how, options = modality(name), {**reader_options(config, name), **where}
    if how.interpolation and "repair" in options:
        mended: Mended = how.interpolation.mend(how.given(given), **options)
        return mended
    return Mended(how.read(how.given(given), **options), 0.0, math.nan)


class GivenRows(Rows):
    """One file of each given modality, as rows that are decoded lazily, in order.

    There is one row, or one for each clip of a modality that is cut; a file of another modality is decoded once.

    Args:
        config: the configuration with all sizes set.
        given: modality -> what `Modality.open` returns.

    Attributes:
        starts: the starts of the clips, in seconds; one at 0 where nothing is cut.
        reading: the modality that was read last, which is at fault where an error was raised.
        damage: per modality (rows, 2) the share that was interpolated, and its uncertainty.
        flags: per modality, the remarks that hold for all rows read (`data.remarks`).
    """

    def __init__(self, config: Config, given: Mapping[str, Any]) -> None:
        self.starts, self.cut = [0.0], cut_modality(config)
        if self.cut in given:
            self.starts = modality(self.cut).clip_starts(given[self.cut], getattr(config, self.cut))
        entry = {m: torch.full((len(self.starts),), int(m in given)) for m in config.modalities}
        blanks = {m: modality(m).blank(getattr(config, m)) for m in config.modalities}
        stores = {m: Store(blanks[m][None], entry[m]) for m in config.modalities}
        super().__init__(stores, None, torch.arange(len(self.starts)))
        self.config, self.given, self.reading = config, given, ""
        self.damage = {m: np.zeros((len(self.starts), 2)) for m in config.modalities if m in given}
        self.flags = dict.fromkeys(self.damage, int(~Remark(0)))  # remarks common to all rows
        self._decoded: dict[str, Mended] = {}  # files of modalities that are not cut

    def __getitem__(self, positions: list[int]) -> Batch:
        """Returns the batch of these rows. Raises FileError."""
        inputs = {m: store.read(torch.zeros(len(positions), dtype=torch.long)) for m, store in self.stores.items()}
        for m in self.damage:
            self.reading, parts = m, []
            for position in positions:
                with collect() as found:
                    parts.append(self._read(m, position))
                if found or m == self.cut or position == 0:  # a file that is not cut is read once
                    self.flags[m] &= pack(found)
            self.damage[m][positions] = [(part.share, part.uncertainty) for part in parts]
            inputs[m] = torch.from_numpy(np.stack([part.values for part in parts]))
        return Batch(inputs, {m: store.entry[positions] > 0 for m, store in self.stores.items()})

    def _read(self, name: str, position: int) -> Mended:
        if name == self.cut:
            return decode_given(self.config, name, self.given[name], start_seconds=self.starts[position])
        if name not in self._decoded:
            self._decoded[name] = decode_given(self.config, name, self.given[name])
        return self._decoded[name]


def cut_modality(config: Config) -> str:
    """Returns the modality whose long files are cut into clips; "" where none is."""
    return next((m for m in config.modalities if modality(m).step_seconds(getattr(config, m))), "")


@contextmanager
def given_rows(config: Config, given: Mapping[str, Any]) -> Iterator[GivenRows]:
    """Opens what is given for each modality, as rows for as long as its files are open. Raises FileError."""
    with contextlib.ExitStack() as opened:
        yield GivenRows(config, {m: opened.enter_context(modality(m).open(x)) for m, x in given.items()})


def damages(table: Table, config: Config) -> dict[str, NDArray[np.float64]]:
    """Returns (rows, 2) the interpolated share and its uncertainty, for each modality that is interpolated."""
    found = {}
    for m in config.modalities:
        if interpolates(config, m):
            store, _ = read_store(table, damage_reading(config, m), f"finding gaps in {m}")
            found[m] = store.read(store.entry).numpy()
    return found


def over_time(table: Table, config: Config) -> OverTime | None:
    """Returns what interpolates a whole modality between rows of a group; None without such a policy or a time.

    Raises:
        TableError: the times cannot be used.
    """
    methods = {m: getattr(config.missing, m) for m in config.modalities if getattr(config.missing, m) in INTERPOLATIONS}
    if not methods or cut_modality(config) or (table.frame["time"] == "").all():
        return None
    times = times_of(table)
    return OverTime(methods, np.where(np.isnan(times), "", table.frame["group"].to_numpy(str)), times)


def chunks(table: Table, whole_groups: bool = False) -> Iterator[Table]:
    """Divides the table into parts, so that memory stays flat; `whole_groups` keeps each group in one part."""
    frame = table.frame.sort_values("group", kind="stable") if whole_groups else table.frame
    groups, start = frame["group"].to_numpy(), 0
    while start < len(frame):
        stop = min(start + CHUNK_ROWS, len(frame))
        while whole_groups and stop < len(frame) and groups[stop] == groups[stop - 1] != "":
            stop += 1
        yield table.with_frame(frame.iloc[start:stop])
        start = stop


def reading_of(config: Config, name: str) -> Reading:
    """Returns how a table's files of a modality become rows of a store."""
    read, how = reader(config, name), modality(name)
    words = f"{name} {' '.join(f'{k}={v}' for k, v in read.keywords.items())} ({_version(name)})"
    shape = tuple(how.blank(getattr(config, name)).shape)
    return Reading(read, shape, how.dtype, words, _columns(config, name))


def damage_reading(config: Config, name: str) -> Reading:
    """Returns how a table's files become rows (share, uncertainty) of what `reader` interpolates in them."""
    interpolation = modality(name).interpolation
    if interpolation is None:
        raise ValueError(f"damaged parts of {name} are not interpolated")
    read = functools.partial(interpolation.damage, **reader_options(config, name))
    return Reading(read, (2,), "float64", f"{name} damage", _columns(config, name))


def _columns(config: Config, name: str) -> list[str]:
    """Returns the columns of the table that tell one reading of a file from another."""
    clips = ["start_seconds"] if name == cut_modality(config) else []
    masks = [mask_columns()[name]] if interpolates(config, name) else []
    return [name, *clips, *masks]


def header_reading(name: str) -> Reading:
    """Returns how a table's files become rows of the numbers that the modality's `headers` names."""
    how = modality(name)
    return Reading(how.header, (len(how.headers),), "float64", f"{name} headers ({_version(name)})", [name])


def _version(name: str) -> str:
    """Names the code that reads a modality's files, so that caches of other code are not used."""
    return f"reader {READER}{code_of(type(modality(name)))}"


def code_of(kind: type) -> str:
    """Names the code of a class from outside the package, so that what other code cached is not used."""
    if kind.__module__.split(".")[0] in ("sightsound", "torch"):
        return ""
    try:
        code = inspect.getsource(inspect.getmodule(kind) or kind)
    except (OSError, TypeError):  # typed in, where no file has it: no other process can know whether it is the same
        code = f"process {os.getpid()}"
    return f", code {hashlib.sha256(code.encode()).hexdigest()[:8]}"


def clips(table: Table, config: Config, keep: bool = False) -> Table:
    """Makes a row for each clip, where the configuration cuts long files; otherwise returns the table unchanged.

    Args:
        table: the rows.
        config: the configuration with all sizes set.
        keep: whether the lengths of the files are cached on disk for the next time.
    """
    name = cut_modality(config)
    if not name:
        return table
    how, options = header_reading(name), getattr(config, name)
    lengths, _ = read_store(table, how, f"measuring {name}", prepared_folder(table, how.name) if keep else None)
    seconds = lengths.read(lengths.entry)[:, modality(name).headers.index("seconds")].numpy()
    return cut_into_clips(table, name, seconds, modality(name).clip_seconds(options), options.step_seconds)


def prepare_rows(
    table: Table, config: Config, labels: list[str] | None, keep: bool = False, partly: bool = False
) -> tuple[Rows, list[Rejected]]:
    """Reads all files of a table.

    Args:
        table: rows whose labels, if used, are all in `labels`; cut into clips where the configuration says so.
        config: the configuration with all sizes set.
        labels: class names, or None if the target is not used.
        keep: whether decoded files are cached on disk for the next time; otherwise they are held in memory.
        partly: whether a row is used of which one file can be read and another cannot.

    Returns:
        the rows whose files can all be read, as positions in the table; and the other ones with reasons. With `partly`,
        the rows of which any file can be read, and the reasons for the other files.
    """
    stores, rejected = {}, []
    for m in config.modalities:
        how = reading_of(config, m)
        folder = prepared_folder(table, how.name) if keep else None
        stores[m], bad = read_store(table, how, f"reading {m}", folder)
        rejected += bad
    numbers = table.frame["row"].to_numpy()
    for m, store in stores.items():  # where one clip cannot be read, the others are not trusted either
        broken = np.isin(numbers, [bad.row for bad in rejected if bad.modality == m])
        stores[m] = store._replace(entry=torch.where(torch.from_numpy(broken), 0, store.entry))
    nothing = torch.stack([store.entry for store in stores.values()]).eq(0).all(0).numpy()
    known, left = {bad.row for bad in rejected}, set(numbers[~nothing])
    empty = [row for row in dict.fromkeys(numbers[nothing].tolist()) if not (partly and row in left)]
    rejected += [Rejected(row, "", "nothing is left of its files") for row in empty if row not in known]
    good = ~nothing & ~np.isin(numbers, empty if partly else [bad.row for bad in rejected])
    target = None if labels is None else class_indices(table, labels)
    return Rows(stores, target, torch.from_numpy(np.flatnonzero(good))), rejected


def class_indices(table: Table, labels: list[str]) -> Tensor:
    """Returns (rows,) the position of each row's label in `labels`."""
    number = {label: i for i, label in enumerate(labels)}
    return torch.tensor([number[label] for label in table.frame["label"]])


def summary(
    table: str,
    rejected: list[Rejected],
    what: str = "cannot be used",
    advice: str = "Mend them, or go on without these rows: --on-bad-file skip",
) -> str:
    """Returns a few lines that say how many rows are rejected, why, and what to do."""
    rows = len({bad.row for bad in rejected})
    lines = [f"{table}: {rows} row(s) {what}:"]
    ordered = sorted(rejected, key=lambda bad: bad.row)
    lines += [
        f"  row {bad.row}: {bad.file + ': ' if bad.file else ''}{bad.reason}" for bad in ordered[:NAMED_IN_SUMMARY]
    ]
    if len(ordered) > NAMED_IN_SUMMARY:
        kinds = Counter(bad.reason.partition("(")[0].strip() for bad in ordered[NAMED_IN_SUMMARY:])
        named = kinds.most_common(KINDS_IN_SUMMARY)
        lines += [f"  and {count} more: {kind}" for kind, count in named]
        if others := kinds.total() - sum(count for _, count in named):
            lines.append(f"  and {others} more, for {len(kinds) - len(named)} other reason(s)")
    return "\n".join([*lines, advice] if advice else lines)
