"""From a table that was read and checked to rows ready for training: split, network, cached features."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from sightsound.config import Config, imputing_policies
from sightsound.data.asked import digest
from sightsound.data.cautions import cautions
from sightsound.data.dataset import Rows
from sightsound.data.prepare import by_groups, by_split, check, modalities_in
from sightsound.data.splits import split
from sightsound.data.table import Table
from sightsound.encoders import checkpoints
from sightsound.errors import TableError
from sightsound.features.image import Standardize
from sightsound.fusion import AUTO, strategy_name
from sightsound.missing import FEWEST_COMPLETE
from sightsound.modalities.base import modality
from sightsound.network.build import build_network, check_parts, new_imputers
from sightsound.network.classifier import ClassifierNetwork
from sightsound.run_folder import content_of
from sightsound.training.class_weights import class_weights
from sightsound.training.feature_cache import cache_features
from sightsound.training.fusion_choice import with_fusion
from sightsound.training.schedule import check_balance

STEPS, FEWEST_EPOCHS, MOST_EPOCHS = 1000, 10, 100
STATISTICS_FILES = 500  # enough for a mean and a deviation


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


def prepare(table: Table, config: Config, run: Path) -> Prepared:
    """Checks all rows and files; writes `rejected.csv` and `splits.csv` into the run folder.

    Raises:
        TableError: rows cannot be used and the configuration says stop; or too few rows remain.
    """
    given = digest(table)
    check_parts(config)
    check_balance(with_fusion(dataclasses.replace(config, modalities=modalities_in(table, config))))
    table, config, every, warnings = check(table, config, run)
    table = split(by_groups(table) if config.group_split else table, config.seed)
    warnings += cautions(table, every.stores, every.rows)
    table.frame[["row", *table.frame.columns.intersection(["start_seconds"]), "split"]].to_csv(
        run / "splits.csv", index=False
    )
    labels = sorted(table.frame["label"].unique())
    rows = by_split(every, table, labels)
    for m in config.modalities:
        for part in ("train", "val"):
            if not (rows[part].stores[m].entry[rows[part].rows] > 0).any():  # none, or every part of each is lost
                raise TableError(f"{table.name}: no {part} row has {m}. Add some, or leave it out: --modalities")
    steps = -(-len(rows["train"]) // config.batch_size)
    epochs = config.epochs or min(max(math.ceil(STEPS / steps), FEWEST_EPOCHS), MOST_EPOCHS)
    if imputing_policies(config) and (found := int(rows["train"].complete().sum())) < FEWEST_COMPLETE:
        policy = next(iter(imputing_policies(config).values()))
        raise TableError(
            f"{table.name}: the policy {policy!r} is fitted on complete training rows; there are {found}, and it "
            f"needs {FEWEST_COMPLETE}. Add some, or take --missing ignore."
        )
    frame = table.part("train").frame
    complete = frame.loc[(frame[list(config.modalities)] != "").all(axis=1), "row"].nunique() / len(labels)
    left_open, config = config.fusion == AUTO, with_fusion(config, complete)
    if left_open and complete and config.fusion != strategy_name(AUTO):
        warnings.append(
            f"with {int(complete)} complete training rows a class, --fusion is {config.fusion}, which needs few. Where "
            f"only both modalities together determine the class, type --fusion {strategy_name(AUTO)}."
        )
    network = fresh_network(config, len(labels), rows["train"])
    network.row_loss.weight.copy_(class_weights(config.class_weights, labels, rows["train"].classes()))
    for policy in imputing_policies(config).values():
        new_imputers(network, policy)  # fails now, and not after the training, where one cannot be built
    config = dataclasses.replace(config, epochs=epochs)
    rows, cached = cache_features(network, config, table, rows)
    return Prepared(table, config, labels, network, rows, cached, warnings, content_of(every), given)


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
    weights = checkpoints.load(chosen.encoder, chosen.pretrained, modality(m).checkpoints, shape).state_dict()
    network.encoders[m].load_state_dict(weights)
