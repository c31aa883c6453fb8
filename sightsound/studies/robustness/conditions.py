"""Rows of a table with something taken away, damaged or exchanged: one condition of a robustness study at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray

from sightsound.data.clusters import Clusters
from sightsound.data.dataset import Rows
from sightsound.data.prepared.store import Store
from sightsound.inference.subsets import Answered
from sightsound.modalities.base import modality
from sightsound.types import INTERPOLATIONS

CLEAN, CONTRADICTION = "clean", "contradiction"
EITHER = "either"
WORTH_PROCESSES = 400  # files to interpolate; fewer are done before worker processes have started


class Condition(NamedTuple):
    """What is wrong.

    Attributes:
        kind: clean, missing, missing by class, contradiction, dead pixels, lost frames, or the name of a corruption.
        modality: of what; "either" where a row loses one of the modalities, drawn by chance.
        level: share of the rows, of the pixels, of the frames; or severity.
        policy: what is done about it; "" where there is no choice.
    """

    kind: str
    modality: str = ""
    level: float = 0.0
    policy: str = ""


class Decoded(NamedTuple):
    """Rows of a table in memory: what the files hold, (n,) classes, (n,) numbers in the table, and their clusters."""

    rows: Rows
    target: NDArray[np.int64]
    numbers: NDArray[np.int64]
    clusters: Clusters


def with_missing(
    clean: Answered,
    without: Mapping[str, NDArray[Any]],
    condition: Condition,
    target: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """(n, C): rows that lost a modality are answered without it.

    Args:
        clean: what is said of all rows as they are.
        without: for each modality (n, C), what is said of all rows that lost it.
        condition: which rows lose what.
        target: (n,) classes.
        rng: draws the rows.
    """
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
        rows = lost[victims == m]
        result[rows] = without[m][rows]
    return result


def without_modality(decoded: Decoded, modality: str) -> Rows:
    """The rows without one of their modalities."""
    store = decoded.rows.stores[modality]
    stores = {**decoded.rows.stores, modality: Store(store.values, torch.zeros_like(store.entry))}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)


def lose_parts(decoded: Decoded, condition: Condition, options: Any, rng: np.random.Generator) -> Rows:
    """The rows with a share of each one's parts lost: pixels of an image, frames of a sound in bursts of 50 ms.

    What is lost is zero (policy ignore), or interpolated by one who knows what is lost (linear, gaussian).

    Args:
        decoded: the rows.
        condition: of which modality which share is lost.
        options: of the modality.
        rng: draws the parts.
    """
    how, store = modality(condition.modality), decoded.rows.stores[condition.modality]
    changed = store.values[torch.arange(len(store.values))].numpy().copy()
    gaps = [how.lose(row, condition.level, options, rng) for row in changed[1:]]
    for row, lost in zip(changed[1:], gaps, strict=True):
        row[lost] = 0
    if condition.policy in INTERPOLATIONS:
        workers = Parallel(-1 if len(gaps) >= WORTH_PROCESSES else 1)
        interpolate = delayed(_interpolated)
        changed[1:] = workers(
            interpolate(condition.modality, row, lost, condition.policy, options)
            for row, lost in zip(changed[1:], gaps, strict=True)
        )
    stores = {**decoded.rows.stores, condition.modality: Store(torch.from_numpy(changed), store.entry)}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)


def _interpolated(name: str, row: NDArray[Any], lost: NDArray[np.bool_], method: str, options: Any) -> NDArray[Any]:
    """A decoded row whose lost parts are interpolated; as it is where all of it is lost."""
    return row if lost.all() else modality(name).interpolate(row, lost, method, options)


def mismatch(decoded: Decoded, modality: str, rng: np.random.Generator) -> Rows:
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


def corrupt(decoded: Decoded, condition: Condition, options: Any, rng: np.random.Generator) -> Rows:
    """The rows with every file of a modality changed; arguments as of `lose_parts`."""
    how, store = modality(condition.modality), decoded.rows.stores[condition.modality]
    changed = store.values[torch.arange(len(store.values))].numpy().copy()
    changed[1:] = how.corrupt(condition.kind, changed[1:], int(condition.level), options, rng)
    stores = {**decoded.rows.stores, condition.modality: Store(torch.from_numpy(changed), store.entry)}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)
