"""Prepares a table for training: checks it, splits it, resolves the configuration, reads every file once."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from sightsound.config import Config, imputing_policies
from sightsound.data.asked import digest
from sightsound.data.cautions import cautions
from sightsound.data.dataset import Rows
from sightsound.data.decode import class_indices, clips, header_reading, prepare_rows, summary
from sightsound.data.prepared.cache import prepared_folder
from sightsound.data.prepared.store import read_store
from sightsound.data.remarks import sentences
from sightsound.data.splits import SHARES, split
from sightsound.data.table import Rejected, Table, dropped_rows, incomplete_rows
from sightsound.data.text import without_formulas
from sightsound.encoders import pretrained
from sightsound.errors import ConfigError, TableError
from sightsound.features.image import Standardize
from sightsound.hardware import resolve_precision
from sightsound.missing import FEWEST_COMPLETE
from sightsound.modalities.base import modality
from sightsound.network.build import build_network, new_imputers
from sightsound.network.classifier import ClassifierNetwork
from sightsound.run_folder import content_of
from sightsound.training.feature_cache import cache_features
from sightsound.training.imputers import complete_rows
from sightsound.training.schedule import check_balance

STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 1000, 10, 100
TYPICAL_FILES = 2_000  # files that are enough to know the typical size of the images and length of the sounds
STATISTICS_FILES = 500  # files that are enough for a mean and a standard deviation


@dataclass(frozen=True)
class Prepared:
    """Everything that training needs.

    Attributes:
        table: the usable rows, each with its split.
        config: the resolved configuration.
        labels: class names, sorted.
        network: the network with fresh weights and the training data's statistics.
        rows: per split, decoded files and targets.
        cached: modality -> "features" or "embedding" where the rows hold these and not decoded files.
        warnings: sentences for the user.
        files: modality -> a digest of the content of all its files.
        given: the `digest` of the table as it was given.
    """

    table: Table
    config: Config
    labels: list[str]
    network: ClassifierNetwork
    rows: dict[str, Rows]
    cached: dict[str, str]
    warnings: list[str]
    files: dict[str, str]
    given: str


class Checked(NamedTuple):
    """A table of which every file has been read.

    Attributes:
        table: the usable rows; a row for each clip where sounds are cut.
        config: the configuration with all sizes set.
        every: the decoded files, over the rows of the table and those that cannot be used.
        warnings: sentences for the user.
    """

    table: Table
    config: Config
    every: Rows
    warnings: list[str]


def check(table: Table, config: Config, run: Path, labelled: bool = True) -> Checked:
    """Reads every file once; writes `rejected.csv` into the run folder.

    Raises:
        TableError: rows cannot be used and the configuration says stop; or no row remains.
    """
    modalities = tuple(m for m in config.modalities if (table.frame[m] != "").any())
    if not modalities:
        raise TableError(f"{table.name}: no row has {' or '.join(config.modalities)}.")
    warnings = [*table.notes]
    warnings += [
        f"no row has {m} (column {getattr(config.columns, m)!r}; --columns.{m} names another); it is trained without"
        for m in config.modalities
        if m not in modalities
    ]
    if len(modalities) > 1 and not (table.frame[list(modalities)] != "").all(axis=1).any():
        warnings.append(
            f"no row has {' and '.join(modalities)}, so that nothing is learnt from pairs. In a folder, files of a "
            "pair have the same name"
        )
    config = dataclasses.replace(config, modalities=modalities)
    check_balance(config)
    rejected = incomplete_rows(table, modalities, labelled)
    table = table.without({bad.row for bad in rejected})
    if left_out := {bad.row for bad in dropped_rows(table, modalities, config.missing)}:
        table = table.without(left_out)
        warnings.append(f"{len(left_out)} row(s) without all modalities are left out, as the policy drop says")
    infos, unreadable = probe(table, modalities, TYPICAL_FILES)
    rejected += unreadable
    table = table.without({bad.row for bad in rejected})
    if not len(table.frame):
        raise TableError(_reported(rejected, table.name, run))
    asked, config = config, fill_in(config, infos)
    warnings += cuts(asked, config, infos)
    whole = clips(table, config, keep=True)
    every, undecodable = prepare_rows(whole, config, None, keep=True)
    warnings += sentences(every.stores, whole)
    if undecodable:
        rejected += undecodable
        table = table.without({bad.row for bad in undecodable})
    if rejected:
        message = _reported(rejected, table.name, run)
        if config.on_bad_file == "stop" or not len(table.frame):
            raise TableError(message)
        warnings.append(message)
    return Checked(clips(table, config, keep=True), config, every, warnings)


def prepare(table: Table, config: Config, run: Path) -> Prepared:
    """Checks all rows and files; writes `rejected.csv` and `splits.csv` into the run folder.

    Raises:
        TableError: rows cannot be used and the configuration says stop; or too few rows remain.
    """
    given = digest(table)
    table, config, every, warnings = check(table, config, run)
    table = split(_regrouped(table) if config.group_split else table, config.seed)
    warnings += cautions(table, every.stores, every.rows)
    table.frame[["row", *table.frame.columns.intersection(["start_seconds"]), "split"]].to_csv(
        run / "splits.csv", index=False
    )
    for m in config.modalities:
        for part in ("train", "val"):
            if (table.part(part).frame[m] == "").all():
                raise TableError(f"{table.name}: no {part} row has {m}. Add some, or leave it out: --modalities")
    labels = sorted(table.frame["label"].unique())
    rows = _by_split(every, table, labels)
    steps = -(-len(rows["train"]) // config.batch_size)
    epochs = config.epochs or min(max(math.ceil(STEPS / steps), FEWEST_EPOCHS), MOST_EPOCHS)
    if imputing_policies(config) and (found := len(complete_rows(rows["train"]))) < FEWEST_COMPLETE:
        policy = next(iter(imputing_policies(config).values()))
        raise TableError(
            f"{table.name}: the policy {policy!r} is fitted on complete training rows; there are {found}, and it "
            f"needs {FEWEST_COMPLETE}. Add some, or take --missing ignore."
        )
    network = fresh_network(config, len(labels), rows["train"])
    for policy in imputing_policies(config).values():
        new_imputers(network, policy)  # fails now, and not after the training, where one cannot be built
    config = dataclasses.replace(config, epochs=epochs)
    rows, cached = cache_features(network, config, table, rows)
    return Prepared(table, config, labels, network, rows, cached, warnings, content_of(every), given)


def _regrouped(table: Table) -> Table:
    """Removes the table's own split, so that whole groups are drawn. Raises TableError for rows without a group."""
    alone = table.frame["row"][table.frame["group"] == ""]
    if len(alone):
        raise TableError(
            f"{table.name}: --group-split needs a group in every row; {len(alone)} have none, row {alone.iloc[0]} the "
            "first. Name the column that says which rows belong together: --columns.group NAME"
        )
    return table.with_frame(table.frame.assign(split=""))


def probe(
    table: Table, modalities: tuple[str, ...], most: int | None = None
) -> tuple[dict[str, NDArray[np.float64]], list[Rejected]]:
    """Reads headers only: per modality (files, ...) as in `header_reading`, and the rows without a valid header.

    Args:
        table: the rows.
        modalities: the modalities to read.
        most: the number of files of each, spread evenly, that are enough to know what is typical; None: all.
    """
    infos, rejected = {}, []
    for m in modalities:
        how = header_reading(m)
        some = table.with_frame(table.frame[table.frame[m] != ""].drop_duplicates(m))
        if most and len(some.frame) > most:
            some = some.with_frame(some.frame.iloc[np.linspace(0, len(some.frame) - 1, most).astype(int)])
        store, bad = read_store(some, how, f"checking {m}", prepared_folder(table, how.name))
        files = torch.unique(store.entry)
        infos[m] = store.read(files[files > 0]).numpy()
        rejected += bad
    return infos, rejected


def fill_in(config: Config, infos: dict[str, NDArray[np.float64]]) -> Config:
    """Resolves a configuration: sizes and precision come from the data, from checkpoints and from the machine."""
    sections = {}
    for m in config.modalities:
        how, options = modality(m), getattr(config, m)
        if options.encoder.startswith(pretrained.PREFIX):
            name = options.encoder.removeprefix(pretrained.PREFIX)
            if how.checkpoints is None:
                raise ConfigError(f"{m}.encoder is {options.encoder!r}; {how.plural} have no pretrained encoders.")
            options = how.with_checkpoint(options, pretrained.describe(name, how.checkpoints))
        sections[m] = how.complete(options, infos[m]) if len(infos.get(m, ())) else options
    precision = resolve_precision(config.precision, config.accelerator)
    return dataclasses.replace(config, **sections, precision=cast(Any, precision))


def cuts(asked: Config, config: Config, infos: dict[str, NDArray[np.float64]]) -> list[str]:
    """Returns sentences about the parts of files that automatically chosen sizes cut off.

    Args:
        asked: the configuration as the user wrote it.
        config: the configuration with all sizes set.
        infos: what `probe` returns.
    """
    found = []
    for m, headers in infos.items():
        found += modality(m).cuts(getattr(asked, m), getattr(config, m), headers) if len(headers) else []
    return found


def _by_split(every: Rows, table: Table, labels: list[str]) -> dict[str, Rows]:
    """Divides the readable rows by split; `every.rows` are their positions in the stores, in the table's order."""
    target = torch.full((int(every.rows.max()) + 1,), -1)
    target[every.rows] = class_indices(table, labels)
    splits = table.frame["split"].to_numpy()
    return {s: Rows(every.stores, target, every.rows[torch.from_numpy(splits == s)]) for s in SHARES}


def fresh_network(config: Config, classes: int, train: Rows) -> ClassifierNetwork:
    """Builds a network with fresh weights from the seed, and the statistics of the training rows' files."""
    network = build_network(config, classes)
    for m, store in train.stores.items():
        files = torch.unique(store.entry[train.rows])
        files = files[files > 0]
        some = files[torch.linspace(0, len(files) - 1, min(len(files), STATISTICS_FILES)).long()]
        standardize = cast(Standardize, network.standardize[m])
        how, chosen = modality(m), getattr(config, m)
        if not chosen.pretrained:
            standardize.fit(network.features[m](store.read(some)))
            continue
        if statistics := how.fixed_statistics(chosen.pretrained):
            standardize.set(*statistics)
        _load_checkpoint(network, m, chosen, tuple(network.features[m](store.read(some[:1])).shape[1:]))
    return network


def _load_checkpoint(network: ClassifierNetwork, m: str, chosen: Any, shape: tuple[int, ...]) -> None:
    """Loads the checkpoint of a pretrained encoder."""
    name = chosen.encoder.removeprefix(pretrained.PREFIX)
    weights = pretrained.load(name, chosen.pretrained, modality(m).checkpoints, shape).state_dict()
    network.encoders[m].load_state_dict(weights)


def _reported(rejected: list[Rejected], name: str, run: Path) -> str:
    """Writes `rejected.csv`; returns the summary for the user."""
    path = run / "rejected.csv"
    ordered = sorted(rejected, key=lambda bad: bad.row)
    without_formulas(pd.DataFrame(ordered, columns=["row", "file", "reason"])).to_csv(path, index=False)
    return f"{summary(name, rejected)}\nAll of them: {path}"
