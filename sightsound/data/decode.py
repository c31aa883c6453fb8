"""From a table to tensors; shared by training and use: Table -> (data.files) -> Rows of what the files hold."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.config import Config, clip_seconds, image_shape
from sightsound.data.clips import clip_starts, cut_into_clips
from sightsound.data.dataset import Rows
from sightsound.data.files import Sound, given_audio, given_image, open_sound, read_audio, read_image
from sightsound.data.interpolated import (
    Mended,
    audio_damage,
    image_damage,
    mended_audio,
    mended_image,
    read_interpolated_audio,
    read_interpolated_image,
)
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.reading import Reading, audio_header, image_header
from sightsound.data.prepared.store import Store, read_store
from sightsound.data.remarks import Remark, collect, pack
from sightsound.data.table import Rejected, Table, times_of
from sightsound.missing import OverTime
from sightsound.types import INTERPOLATIONS, MASKS, Batch

CHUNK_ROWS = 2048  # rows of a table held in memory at once while predicting
READERS: dict[tuple[str, bool], Callable[..., NDArray[Any]]] = {  # modality, whether it repairs
    ("image", False): read_image,
    ("image", True): read_interpolated_image,
    ("audio", False): read_audio,
    ("audio", True): read_interpolated_audio,
}
DAMAGE: dict[str, Callable[..., NDArray[Any]]] = {"image": image_damage, "audio": audio_damage}
MENDING: dict[str, Callable[..., Mended]] = {"image": mended_image, "audio": mended_audio}
GIVEN: dict[str, Callable[[Any], Any]] = {"image": given_image, "audio": given_audio}
READER = 3  # raised when files are read differently, so that what was kept before is not taken
NAMED_IN_SUMMARY = 10


def reader(config: Config, modality: str) -> functools.partial[NDArray[Any]]:
    """The function that reads a file of a modality as the configuration wants it; it raises FileError."""
    options = reader_options(config, modality)
    return functools.partial(READERS[modality, "repair" in options], **options)


def reader_options(config: Config, modality: str) -> dict[str, Any]:
    """The arguments that every file of a modality is read with; `repair` among them where the policy is one."""
    policy = getattr(config.missing, modality)
    repair = {"repair": policy} if policy in INTERPOLATIONS else {}
    if modality == "image":
        height, width, channels = image_shape(config)
        white = {} if config.image.white is None else {"white": config.image.white}
        return {"height": height, "width": width, "channels": channels, **white, **repair}
    audio = config.audio
    crop = "start" if audio.step_seconds else audio.crop
    return {"sample_rate_hz": audio.sample_rate_hz, "clip_seconds": clip_seconds(config), "crop": crop, **repair}


def decode_given(config: Config, modality: str, given: Any, start_seconds: float) -> Mended:
    """Whatever stands for a file, as `reader` would give it, and what was repaired in it.

    Raises:
        FileError: it cannot be read; NothingLeftError, if all of it is damaged.
    """
    start = {"start_seconds": start_seconds} if modality == "audio" else {}
    options = {**reader_options(config, modality), **start}
    if "repair" in options:
        return MENDING[modality](GIVEN[modality](given), **options)
    return Mended(READERS[modality, False](GIVEN[modality](given), **options), 0.0, math.nan)


class GivenRows(Rows):
    """One image, the clips of one sound, or both, as rows that are decoded when they are asked for, one after another.

    Args:
        config: with all sizes filled in.
        image: as `read_image` takes it, or None.
        sound: open, or None.

    Attributes:
        starts: of the clips, in seconds; one at 0 where the sound is not cut, or there is none.
        reading: the modality that was read last: the one at fault where an error was raised.
        damage: per modality (rows, 2) the share that was repaired, and its uncertainty.
        flags: per modality, what is remarkable about all rows that were read (`data.remarks`).
    """

    def __init__(self, config: Config, image: Any, sound: Sound | None) -> None:
        self.starts, step = [0.0], config.audio.step_seconds
        if sound is not None and step:
            sound.look_at_end()
            self.starts = clip_starts(sound.seconds, clip_seconds(config), step)
        given = {"image": image, "audio": sound}
        entry = {m: torch.full((len(self.starts),), int(given[m] is not None)) for m in config.modalities}
        stores = {m: Store(blank(config, m)[None], entry[m]) for m in config.modalities}
        super().__init__(stores, None, torch.arange(len(self.starts)))
        self.config, self.given, self.reading = config, given, ""
        self.damage = {m: np.zeros((len(self.starts), 2)) for m in config.modalities if given[m] is not None}
        self.flags = dict.fromkeys(self.damage, int(~Remark(0)))  # of all rows
        self._picture: Mended | None = None

    def __getitem__(self, positions: list[int]) -> Batch:
        """As of any rows. Raises FileError."""
        inputs = {m: store.read(torch.zeros(len(positions), dtype=torch.long)) for m, store in self.stores.items()}
        for m in self.damage:
            self.reading, parts = m, []
            for position in positions:
                with collect() as found:
                    parts.append(self._read(m, position))
                if found or m == "audio" or position == 0:  # an image is read once
                    self.flags[m] &= pack(found)
            self.damage[m][positions] = [(part.share, part.uncertainty) for part in parts]
            inputs[m] = torch.from_numpy(np.stack([part.values for part in parts]))
        return Batch(inputs, {m: store.entry[positions] > 0 for m, store in self.stores.items()})

    def _read(self, modality: str, position: int) -> Mended:
        if modality == "audio":
            return decode_given(self.config, modality, self.given[modality], self.starts[position])
        self._picture = self._picture or decode_given(self.config, modality, self.given[modality], 0.0)
        return self._picture


@contextmanager
def given_rows(config: Config, given: Mapping[str, Any]) -> Iterator[GivenRows]:
    """What someone has given for each modality, as rows for as long as its file is open. Raises FileError."""
    if "audio" not in given:
        yield GivenRows(config, given.get("image"), None)
        return
    with open_sound(given["audio"]) as sound:
        yield GivenRows(config, given.get("image"), sound)


def damages(table: Table, config: Config) -> dict[str, NDArray[np.float64]]:
    """For each modality whose damaged parts are repaired, (rows, 2) the share and uncertainty of what is."""
    found = {}
    for m in config.modalities:
        if getattr(config.missing, m) in INTERPOLATIONS:
            store, _ = read_store(table, damage_reading(config, m), f"finding gaps in {m}")
            found[m] = store.read(store.entry).numpy()
    return found


def over_time(table: Table, config: Config) -> OverTime | None:
    """What interpolates a whole modality between rows of a group; None where that is not wanted or there is no time.

    Raises:
        TableError: the times cannot be used.
    """
    methods = {m: getattr(config.missing, m) for m in config.modalities if getattr(config.missing, m) in INTERPOLATIONS}
    if not methods or config.audio.step_seconds or (table.frame["time"] == "").all():
        return None
    times = times_of(table)
    return OverTime(methods, np.where(np.isnan(times), "", table.frame["group"].to_numpy(str)), times)


def chunks(table: Table, whole_groups: bool = False) -> Iterator[Table]:
    """The table in parts, so that memory stays flat; with whole groups in one part where asked."""
    frame = table.frame.sort_values("group", kind="stable") if whole_groups else table.frame
    groups, start = frame["group"].to_numpy(), 0
    while start < len(frame):
        stop = min(start + CHUNK_ROWS, len(frame))
        while whole_groups and stop < len(frame) and groups[stop] == groups[stop - 1] != "":
            stop += 1
        yield table.with_frame(frame.iloc[start:stop])
        start = stop


def blank(config: Config, modality: str) -> Tensor:
    """What stands in for an absent file: zeros as `reader` would give them."""
    if modality == "image":
        return torch.zeros(image_shape(config), dtype=torch.uint8)
    return torch.zeros(round(clip_seconds(config) * config.audio.sample_rate_hz))


def reading_of(config: Config, modality: str) -> Reading:
    """How a table's files of a modality become rows of a store."""
    read = reader(config, modality)
    name = f"{modality} {' '.join(f'{k}={v}' for k, v in read.keywords.items())} (reader {READER})"
    dtype = "uint8" if modality == "image" else "int16"
    return Reading(read, tuple(blank(config, modality).shape), dtype, name, _columns(config, modality))


def damage_reading(config: Config, modality: str) -> Reading:
    """How a table's files become rows (share, uncertainty) of what `reader` repairs in them."""
    read = functools.partial(DAMAGE[modality], **reader_options(config, modality))
    return Reading(read, (2,), "float64", f"{modality} damage", _columns(config, modality))


def _columns(config: Config, modality: str) -> list[str]:
    """Of the table, what tells one reading of a file from another."""
    clips = ["start_seconds"] if modality == "audio" and config.audio.step_seconds else []
    masks = [MASKS[modality]] if getattr(config.missing, modality) in INTERPOLATIONS else []
    return [modality, *clips, *masks]


def header_reading(modality: str) -> Reading:
    """How a table's files become rows as `probe_image` gives them, or (seconds,)."""
    size = {"image": 4, "audio": 1}[modality]
    return Reading(HEADERS[modality], (size,), "float64", f"{modality} headers (reader {READER})", [modality])


HEADERS = {"image": image_header, "audio": audio_header}


def clips(table: Table, config: Config, keep: bool = False) -> Table:
    """The table with a row for each clip, where the configuration cuts long sounds; else as it is.

    Args:
        table: the rows.
        config: with all sizes filled in.
        keep: whether the lengths of the sounds are kept on disk for the next time.
    """
    if not config.audio.step_seconds or "audio" not in config.modalities:
        return table
    how = header_reading("audio")
    lengths, _ = read_store(table, how, "measuring audio", prepared_folder(table, how.name) if keep else None)
    return cut_into_clips(
        table, lengths.read(lengths.entry)[:, 0].numpy(), clip_seconds(config), config.audio.step_seconds
    )


def prepare_rows(
    table: Table, config: Config, labels: list[str] | None, keep: bool = False, partly: bool = False
) -> tuple[Rows, list[Rejected]]:
    """Reads all files of a table.

    Args:
        table: rows whose labels, if they matter, are all in `labels`; cut into clips where the configuration says so.
        config: with all sizes filled in.
        labels: class names, or None if the target does not matter.
        keep: whether what is read is kept on disk for the next time; else it is held in memory.
        partly: whether a row counts of which one file can be read and another cannot.

    Returns:
        the rows whose files can all be read, as positions in the table; and the other ones with reasons. `partly`: the
        rows of which something can be read, without what cannot; the reasons are given all the same.
    """
    stores, rejected = {}, []
    for modality in config.modalities:
        how = reading_of(config, modality)
        folder = prepared_folder(table, how.name) if keep else None
        stores[modality], bad = read_store(table, how, f"reading {modality}", folder)
        rejected += bad
    numbers = table.frame["row"].to_numpy()
    for m, store in stores.items():  # what cannot be read of one clip cannot be trusted in the others
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
    """(rows,) the position of each row's label in `labels`."""
    number = {label: i for i, label in enumerate(labels)}
    return torch.tensor([number[label] for label in table.frame["label"]])


def summary(
    table: str,
    rejected: list[Rejected],
    what: str = "cannot be used",
    advice: str = "Mend them, or go on without these rows: --on-bad-file skip",
) -> str:
    """A few lines that say how many rows are rejected, why, and what to do."""
    rows = len({bad.row for bad in rejected})
    lines = [f"{table}: {rows} row(s) {what}:"]
    ordered = sorted(rejected, key=lambda bad: bad.row)
    lines += [
        f"  row {bad.row}: {bad.file + ': ' if bad.file else ''}{bad.reason}" for bad in ordered[:NAMED_IN_SUMMARY]
    ]
    if len(ordered) > NAMED_IN_SUMMARY:
        kinds = Counter(bad.reason.partition("(")[0].strip() for bad in ordered[NAMED_IN_SUMMARY:])
        lines += [f"  and {count} more: {kind}" for kind, count in kinds.most_common(5)]
    return "\n".join([*lines, advice] if advice else lines)
