"""From a table to tensors, and from tensors to what each subset of the senses says; shared by training and use.

Table -> (data.files) -> Rows of features -> (network.fuse) -> probabilities per subset -> metrics.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.config import Config, clip_seconds, image_shape
from sightsound.data.batches import Rows, loader
from sightsound.data.files import Source, read_audio, read_image
from sightsound.data.store import build_store
from sightsound.data.table import Rejected, Table
from sightsound.metrics import measure
from sightsound.model import ClassifierNetwork, build_features
from sightsound.types import Batch

BATCH_ROWS = 256
NAMED_IN_SUMMARY = 10


class Answer(NamedTuple):
    """What one subset of the modalities says: probabilities (B, C), and weights (B,) per modality or None."""

    probabilities: Tensor
    weights: dict[str, Tensor] | None


def reader(config: Config, modality: str) -> Callable[[Source], NDArray[Any]]:
    """The function that reads a file of a modality as the configuration wants it; it raises FileError."""
    if modality == "image":
        height, width, channels = image_shape(config)
        return functools.partial(read_image, height=height, width=width, channels=channels)
    audio = config.audio
    return functools.partial(
        read_audio, sample_rate_hz=audio.sample_rate_hz, clip_seconds=clip_seconds(config), crop=audio.crop
    )


def blank(config: Config, modality: str) -> Tensor:
    """What stands in for an absent file: zeros as `reader` would give them."""
    if modality == "image":
        return torch.zeros(image_shape(config), dtype=torch.uint8)
    return torch.zeros(round(clip_seconds(config) * config.audio.sample_rate_hz))


def prepare_rows(table: Table, config: Config, labels: list[str] | None) -> tuple[Rows, list[Rejected]]:
    """Reads all files of a table.

    Args:
        table: rows whose labels, if they matter, are all in `labels`.
        config: with all sizes filled in.
        labels: class names, or None if the target does not matter.

    Returns:
        the rows whose files can all be read, as positions in the table; and the other ones with reasons.
    """
    stores, rejected = {}, []
    with torch.no_grad():
        for modality, features in build_features(config).items():
            read = reader(config, modality)
            stores[modality], bad = build_store(table, modality, blank(config, modality), read, features)
            rejected += bad
    good = ~table.frame.index.isin([r.row for r in rejected])
    target = None if labels is None else class_indices(table, labels)
    return Rows(stores, target, torch.from_numpy(np.flatnonzero(good))), rejected


def class_indices(table: Table, labels: list[str]) -> Tensor:
    """(rows,) the position of each row's label in `labels`."""
    number = {label: i for i, label in enumerate(labels)}
    return torch.tensor([number[label] for label in table.frame["label"]])


def subsets(modalities: list[str]) -> list[tuple[str, ...]]:
    """All non-empty subsets, the whole first."""
    sizes = range(len(modalities), 0, -1)
    return [subset for size in sizes for subset in itertools.combinations(modalities, size)]


@torch.inference_mode()
def answers(network: ClassifierNetwork, batch: Batch) -> dict[tuple[str, ...], Answer]:
    """What the network says of features when it is shown each subset of the modalities alone."""
    names = subsets(network.modalities)
    outputs = network.fuse_subsets(batch, names)
    return {
        name: Answer(output.logits.softmax(dim=1), output.weights) for name, output in zip(names, outputs, strict=True)
    }


def answer_rows(network: ClassifierNetwork, rows: Rows) -> dict[tuple[str, ...], NDArray[Any]]:
    """Probabilities (n, C) of each subset of the modalities, in the order of the rows."""
    said = [answers(network, batch) for batch in loader(rows, BATCH_ROWS)]
    return {s: torch.cat([batch[s].probabilities for batch in said]).numpy() for s in subsets(network.modalities)}


def measure_answers(said: dict[tuple[str, ...], NDArray[Any]], rows: Rows, labels: list[str]) -> dict[str, Any]:
    """Metrics of each subset of the modalities, over the rows that have all of the subset.

    If some rows lack a modality, "as given" holds the metrics over all rows with whatever each of them has.

    Returns:
        {"rows": n, "subsets": {name: numbers}}.
    """
    if rows.target is None:
        raise ValueError("rows without targets cannot be measured")
    target = rows.target[rows.rows].numpy()
    has = {m: (rows.stores[m].entry[rows.rows] > 0).numpy() for m in rows.stores}
    result: dict[str, Any] = {}
    for subset, probabilities in said.items():
        complete = np.logical_and.reduce([has[m] for m in subset])
        if complete.any():
            result["+".join(subset)] = measure(probabilities[complete], target[complete], labels)
        if len(subset) == len(has) and not complete.all():
            result["as given"] = measure(probabilities, target, labels)
    return {"rows": len(rows), "subsets": result}


def summary(table: str, rejected: list[Rejected]) -> str:
    """A few lines that say how many rows cannot be used, why, and what to do."""
    rows = len({bad.row for bad in rejected})
    lines = [f"{table}: {rows} row(s) cannot be used:"]
    ordered = sorted(rejected, key=lambda bad: bad.row)
    lines += [
        f"  row {bad.row}: {bad.file + ': ' if bad.file else ''}{bad.reason}" for bad in ordered[:NAMED_IN_SUMMARY]
    ]
    if len(ordered) > NAMED_IN_SUMMARY:
        kinds = Counter(bad.reason.partition("(")[0].strip() for bad in ordered[NAMED_IN_SUMMARY:])
        lines += [f"  and {count} more: {kind}" for kind, count in kinds.most_common(5)]
    lines.append("Mend them, or go on without these rows: --on-bad-file skip")
    return "\n".join(lines)
