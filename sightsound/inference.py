"""From a table to tensors, and from tensors to what each subset of the senses says; shared by training and use.

Table -> (data.files) -> Rows of features -> (network.fuse) -> probabilities per subset -> metrics.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.config import Config, clip_seconds, image_shape
from sightsound.data.batches import Rows, loader
from sightsound.data.cache import prepared_folder
from sightsound.data.files import read_audio, read_image
from sightsound.data.reading import Reading, audio_header, image_header
from sightsound.data.store import read_store
from sightsound.data.table import Rejected, Table
from sightsound.data.windows import cut
from sightsound.metrics import abstaining, measure
from sightsound.model import ClassifierNetwork, energy_of
from sightsound.types import Batch, Output

BATCH_ROWS = 256
READER = 1  # raised when files are read differently, so that what was kept before is not taken
NAMED_IN_SUMMARY = 10


class Answer(NamedTuple):
    """What one subset of the modalities says.

    Attributes:
        probabilities: (B, C).
        weights: per modality (B,), or None.
        strangeness: per modality of the subset (B,), the share of validation rows that are less strange.
    """

    probabilities: Tensor
    weights: dict[str, Tensor] | None
    strangeness: dict[str, Tensor]


def reader(config: Config, modality: str) -> functools.partial[NDArray[Any]]:
    """The function that reads a file of a modality as the configuration wants it; it raises FileError."""
    if modality == "image":
        height, width, channels = image_shape(config)
        return functools.partial(read_image, height=height, width=width, channels=channels)
    audio = config.audio
    crop = "start" if audio.step_seconds else audio.crop
    return functools.partial(
        read_audio, sample_rate_hz=audio.sample_rate_hz, clip_seconds=clip_seconds(config), crop=crop
    )


def blank(config: Config, modality: str) -> Tensor:
    """What stands in for an absent file: zeros as `reader` would give them."""
    if modality == "image":
        return torch.zeros(image_shape(config), dtype=torch.uint8)
    return torch.zeros(round(clip_seconds(config) * config.audio.sample_rate_hz))


def reading(config: Config, modality: str) -> Reading:
    """How a table's files of a modality become rows of a store."""
    read = reader(config, modality)
    name = f"{modality} {' '.join(f'{k}={v}' for k, v in read.keywords.items())} (reader {READER})"
    columns = ["audio", "start_seconds"] if modality == "audio" and config.audio.step_seconds else [modality]
    dtype = "uint8" if modality == "image" else "int16"
    return Reading(read, tuple(blank(config, modality).shape), dtype, name, columns)


def header_reading(modality: str) -> Reading:
    """How a table's files become rows (height, width, colour) or (seconds,), from their headers alone."""
    size = {"image": 3, "audio": 1}[modality]
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
    return cut(table, lengths.read(lengths.entry)[:, 0].numpy(), clip_seconds(config), config.audio.step_seconds)


def prepare_rows(
    table: Table, config: Config, labels: list[str] | None, keep: bool = False
) -> tuple[Rows, list[Rejected]]:
    """Reads all files of a table.

    Args:
        table: rows whose labels, if they matter, are all in `labels`; cut into clips where the configuration says so.
        config: with all sizes filled in.
        labels: class names, or None if the target does not matter.
        keep: whether what is read is kept on disk for the next time; else it is held in memory.

    Returns:
        the rows whose files can all be read, as positions in the table; and the other ones with reasons.
    """
    stores, rejected = {}, []
    for modality in config.modalities:
        how = reading(config, modality)
        folder = prepared_folder(table, how.name) if keep else None
        stores[modality], bad = read_store(table, how, f"reading {modality}", folder)
        rejected += bad
    good = ~table.frame["row"].isin([bad.row for bad in rejected])
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
    return {name: _answer(network, name, output) for name, output in zip(names, outputs, strict=True)}


def _answer(network: ClassifierNetwork, subset: tuple[str, ...], output: Output) -> Answer:
    strange = {m: network.strangeness(m, energy_of(output.scores[m])) for m in subset}
    return Answer(output.logits.softmax(dim=1), output.weights, strange)


class Answered(NamedTuple):
    """What each subset of the modalities says of the rows of a table.

    Attributes:
        row: (n,) number in the table.
        probabilities: per subset (n, C).
        has: per modality (n,) bool.
    """

    row: NDArray[np.int64]
    probabilities: dict[tuple[str, ...], NDArray[Any]]
    has: dict[str, NDArray[np.bool_]]


def answer_rows(network: ClassifierNetwork, rows: Rows, numbers: NDArray[np.int64]) -> Answered:
    """Asks the network about decoded rows; the clips of a row are averaged.

    Args:
        network: in eval mode.
        rows: n of them, decoded.
        numbers: (n,) the table's row that each belongs to, those of one row side by side.
    """
    batches = loader(rows, BATCH_ROWS)
    said = [answers(network, network.featurize(batch)) for batch in batches]
    row, first, count = np.unique(numbers, return_index=True, return_counts=True)
    probabilities = {}
    for subset in subsets(network.modalities):
        each = torch.cat([batch[subset].probabilities for batch in said]).numpy()
        probabilities[subset] = np.add.reduceat(each, first) / count[:, None]
    has = {m: (store.entry[rows.rows] > 0).numpy()[first] for m, store in rows.stores.items()}
    return Answered(row, probabilities, has)


def joined(parts: list[Answered]) -> Answered:
    """The answers to several parts of a table as one."""
    return Answered(
        np.concatenate([part.row for part in parts]),
        {s: np.concatenate([part.probabilities[s] for part in parts]) for s in parts[0].probabilities},
        {m: np.concatenate([part.has[m] for part in parts]) for m in parts[0].has},
    )


def measure_answers(
    answered: Answered, target: NDArray[Any], labels: list[str], abstain_below: float = 0.0
) -> dict[str, Any]:
    """Metrics of each subset of the modalities, over the rows that have all of the subset.

    If some rows lack a modality, "as given" holds the metrics over all rows with whatever each of them has.

    Args:
        answered: n rows.
        target: (n,) class indices.
        labels: class names.
        abstain_below: with it, "abstaining" says for each subset what is left when less sure answers are withheld.

    Returns:
        {"rows": n, "subsets": {name: numbers}}.
    """
    result: dict[str, Any] = {}
    for subset, probabilities in answered.probabilities.items():
        complete = np.logical_and.reduce([answered.has[m] for m in subset])
        if complete.any():
            numbers = measure(probabilities[complete], target[complete], labels)
            if abstain_below:
                numbers["abstaining"] = abstaining(probabilities[complete], target[complete], abstain_below)
            result["+".join(subset)] = numbers
        if len(subset) == len(answered.has) and not complete.all():
            result["as given"] = measure(probabilities, target, labels)
    return {"rows": len(target), "subsets": result}


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
