"""From a table to rows ready for training: check, split, fill in the configuration, read every file once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch

from sightsound.config import Config
from sightsound.data.batches import Rows
from sightsound.data.files import ImageInfo, probe_audio, probe_image
from sightsound.data.splits import SHARES, shared_files, split
from sightsound.data.store import each_file, rejections
from sightsound.data.table import Rejected, Table, incomplete_rows
from sightsound.errors import FileError, TableError
from sightsound.features.image import Standardize
from sightsound.inference import class_indices, prepare_rows, summary
from sightsound.model import ClassifierNetwork, build_network
from sightsound.training.hardware import resolve_precision

LARGEST_SIDE = 64  # pixels, unless the user asks for more
LONGEST_CLIP = 10.0  # seconds, unless the user asks for more
STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 1000, 10, 100
DROPOUT, HIERARCHICAL_DROPOUT = 0.2, 0.5
STATISTICS_FILES = 10_000  # enough for a mean and a deviation


@dataclass(frozen=True)
class Prepared:
    """Everything that training needs.

    Attributes:
        table: the usable rows, each with its split.
        config: with everything filled in.
        labels: class names, sorted.
        network: with fresh weights and the training data's statistics.
        rows: per split, features and targets.
        warnings: sentences for the user.
    """

    table: Table
    config: Config
    labels: list[str]
    network: ClassifierNetwork
    rows: dict[str, Rows]
    warnings: list[str]


def prepare(table: Table, config: Config, run: Path) -> Prepared:
    """Checks all rows and files; writes `rejected.csv` and `splits.csv` into the run folder.

    Raises:
        TableError: rows cannot be used and the configuration says stop; or too little is left.
    """
    modalities = tuple(m for m in config.modalities if (table.frame[m] != "").any())
    if not modalities:
        raise TableError(f"{table.name}: no row has {' or '.join(config.modalities)}.")
    warnings = [f"no row has {m}; training goes on without it" for m in config.modalities if m not in modalities]
    config = dataclasses.replace(config, modalities=modalities)
    rejected = incomplete_rows(table, modalities)
    table = table.without({bad.row for bad in rejected})
    infos, unreadable = probe(table, modalities)
    rejected += unreadable
    table = table.without({bad.row for bad in rejected})
    if not len(table.frame):
        raise TableError(_reported(rejected, table.name, run))
    config = _fill_in(config, infos)
    every, undecodable = prepare_rows(table, config, None)
    rejected += undecodable
    table = table.without({bad.row for bad in rejected})
    if rejected:
        message = _reported(rejected, table.name, run)
        if config.on_bad_file == "stop" or not len(table.frame):
            raise TableError(message)
        warnings.append(message)
    table = split(table, config.seed)
    warnings += _shared(table)
    table.frame["split"].rename_axis("row").to_csv(run / "splits.csv")
    for modality in modalities:
        for part in ("train", "val"):
            if (table.part(part).frame[modality] == "").all():
                raise TableError(f"{table.name}: no {part} row has {modality}. Add some, or leave it out: --modalities")
    labels = sorted(table.frame["label"].unique())
    rows = _by_split(every, table, labels)
    steps = -(-len(rows["train"]) // config.batch_size)
    epochs = config.epochs or min(max(math.ceil(STEPS / steps), FEWEST_EPOCHS), MOST_EPOCHS)
    network = _network(config, len(labels), rows["train"])
    if (dropout := config.modality_dropout) is None:
        # encoders that exchange learn to do without it only from rows where the other sense is hidden
        dropout = HIERARCHICAL_DROPOUT if network.exchanges else DROPOUT
    config = dataclasses.replace(config, epochs=epochs, modality_dropout=dropout)
    return Prepared(table, config, labels, network, rows, warnings)


def probe(table: Table, modalities: tuple[str, ...]) -> tuple[dict[str, list[ImageInfo | float]], list[Rejected]]:
    """From the headers alone: sizes of images, seconds of sounds, and the rows whose file has no good header."""
    infos: dict[str, list[ImageInfo | float]] = {m: [] for m in modalities}
    rejected = []
    for modality in modalities:
        failures: dict[str, FileError] = {}
        for name, info in each_file(table, modality, PROBES[modality], f"checking {modality}"):
            if isinstance(info, FileError):
                failures[name] = info
            else:
                infos[modality].append(info)
        rejected += rejections(table, modality, failures)
    return infos, rejected


PROBES: dict[str, Callable[[str], ImageInfo | float]] = {"image": probe_image, "audio": probe_audio}


def _fill_in(config: Config, infos: dict[str, list[Any]]) -> Config:
    """The configuration with image size, clip length and precision taken from the data and the machine."""
    image, audio = config.image, config.audio
    if infos.get("image"):
        heights, widths, colour = (np.array(values) for values in zip(*infos["image"], strict=True))
        shrink = min(1.0, LARGEST_SIDE / max(np.median(heights), np.median(widths)))
        image = dataclasses.replace(
            image,
            height=image.height or max(round(float(np.median(heights)) * shrink), 8),
            width=image.width or max(round(float(np.median(widths)) * shrink), 8),
            channels=image.channels or (3 if colour.any() else 1),
        )
    if infos.get("audio") and audio.clip_seconds is None:
        usual = math.ceil(10 * float(np.percentile(infos["audio"], 95))) / 10
        audio = dataclasses.replace(audio, clip_seconds=min(usual, LONGEST_CLIP))
    precision = resolve_precision(config.precision, config.accelerator)
    return dataclasses.replace(config, image=image, audio=audio, precision=precision)


def _by_split(every: Rows, table: Table, labels: list[str]) -> dict[str, Rows]:
    """The readable rows in three; `every.rows` are their positions in the stores, in the order of the table."""
    target = torch.full((int(every.rows.max()) + 1,), -1)
    target[every.rows] = class_indices(table, labels)
    splits = table.frame["split"].to_numpy()
    return {s: Rows(every.stores, target, every.rows[torch.from_numpy(splits == s)]) for s in SHARES}


def _network(config: Config, classes: int, train: Rows) -> ClassifierNetwork:
    """Fresh weights from the seed, and the statistics of the training rows' files."""
    torch.manual_seed(config.seed)
    network = build_network(config, classes)
    for modality, store in train.stores.items():
        files = torch.unique(store.entry[train.rows])
        cast(Standardize, network.standardize[modality]).fit(store.values[files[files > 0][:STATISTICS_FILES]])
    return network


def _reported(rejected: list[Rejected], name: str, run: Path) -> str:
    """Writes `rejected.csv`; gives the summary for the user."""
    path = run / "rejected.csv"
    ordered = sorted(rejected, key=lambda bad: bad.row)
    pd.DataFrame(ordered, columns=["row", "file", "reason"]).to_csv(path, index=False)
    return f"{summary(name, rejected)}\nAll of them: {path}"


def _shared(table: Table) -> list[str]:
    shared = shared_files(table)
    if not shared:
        return []
    file, rows = next(iter(shared.items()))
    return [
        f"{len(shared)} file(s) stand in more than one split, for instance {file} in rows {rows[0]} and {rows[-1]}: "
        "the test numbers will be too good. Give such rows one group (--columns.group), or one split."
    ]
