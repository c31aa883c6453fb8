"""Rows of a table with something taken away, damaged or exchanged: one condition of a robustness study at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sightsound.data.batches import Rows
from sightsound.data.files import FULL_SCALE
from sightsound.data.store import Store
from sightsound.inference import Answered
from sightsound.studies.corruptions import Setting, corrupt_audio, corrupt_image

EITHER = "either"


class Condition(NamedTuple):
    """What is wrong.

    Attributes:
        kind: clean, missing, missing by class, contradiction, or the name of a corruption.
        modality: of what; "either" where a row loses one of the senses, drawn by chance.
        level: share of the rows, or severity.
    """

    kind: str
    modality: str = ""
    level: float = 0.0


class Decoded(NamedTuple):
    """Rows of a table in memory: what the files hold, (n,) classes, (n,) numbers in the table."""

    rows: Rows
    target: NDArray[np.int64]
    numbers: NDArray[np.int64]


def with_missing(
    clean: Answered, condition: Condition, target: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[Any]:
    """(n, C): rows that lost a sense are answered by the others, as the network itself does."""
    order = rng.permutation(len(target))
    if condition.kind == "missing by class":  # the first classes lose it first
        order = order[np.argsort(target[order], kind="stable")]
    lost = order[: round(condition.level * len(target))]
    modalities = tuple(clean.has)
    result = clean.probabilities[modalities].copy()
    victims = np.full(len(lost), condition.modality, object)
    if condition.modality == EITHER:
        victims = rng.choice(np.array(modalities, object), len(lost))
    for m in modalities:
        rest = tuple(other for other in modalities if other != m)
        rows = lost[victims == m]
        result[rows] = clean.probabilities[rest][rows]
    return result


def contradicting(decoded: Decoded, modality: str, rng: np.random.Generator) -> Rows:
    """Each row with the file of a row of another class."""
    rows, target = decoded.rows, decoded.target
    partner = np.empty(len(target), np.int64)
    for c in np.unique(target):
        others = np.flatnonzero(target != c)
        partner[target == c] = rng.choice(others, int((target == c).sum()))
    store = rows.stores[modality]
    entry = store.entry.clone()
    entry[rows.rows] = store.entry[rows.rows[torch.from_numpy(partner)]]
    return Rows({**rows.stores, modality: Store(store.values, entry)}, rows.target, rows.rows)


def corrupted(decoded: Decoded, condition: Condition, sample_rate_hz: int, rng: np.random.Generator) -> Rows:
    """The rows with every file of a modality changed."""
    store, severity = decoded.rows.stores[condition.modality], int(condition.level)
    values = store.values[torch.arange(len(store.values))].numpy()
    changed = values.copy()
    if condition.modality == "image":
        for i in range(1, len(values)):
            changed[i] = corrupt_image(condition.kind, values[i], severity, rng)
    else:
        waves = values.astype(np.float32) / FULL_SCALE
        setting = Setting(sample_rate_hz, rng, waves[1:])
        for i in range(1, len(values)):
            made = corrupt_audio(condition.kind, waves[i], severity, setting)
            changed[i] = np.clip(np.rint(made * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    stores = {**decoded.rows.stores, condition.modality: Store(torch.from_numpy(changed), store.entry)}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)
