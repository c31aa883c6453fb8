"""Removes, damages or exchanges files of a table's rows: one condition of a robustness study at a time."""

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
from sightsound.modalities.base import modality
from sightsound.types import INTERPOLATIONS

CLEAN, CONTRADICTION = "clean", "contradiction"
EITHER = "either"
WORTH_PROCESSES = 400  # files to interpolate; fewer finish before worker processes have started


class Condition(NamedTuple):
    """A condition under which the classifier is measured.

    Attributes:
        kind: clean, missing, missing by class, contradiction, dead pixels, lost frames, or the name of a corruption.
        modality: the affected modality; "either" where a row loses a random one of the modalities.
        level: the share of the rows, pixels or frames; or the severity.
        policy: the missing-data policy; "" where there is no choice.
    """

    kind: str
    modality: str = ""
    level: float = 0.0
    policy: str = ""


class Decoded(NamedTuple):
    """Rows of a table in memory: decoded files, (n,) classes, (n,) numbers in the table, and their clusters."""

    rows: Rows
    target: NDArray[np.int64]
    numbers: NDArray[np.int64]
    clusters: Clusters


def with_missing(
    clean: NDArray[np.int64],
    without: Mapping[str, NDArray[Any]],
    condition: Condition,
    target: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[Any]:
    """Returns predicted classes (n,), in which rows that lost a modality are predicted without it.

    Args:
        clean: (n,) the predicted classes of all rows unchanged.
        without: for each modality (n,), the predicted classes of all rows without it.
        condition: which rows lose which modality.
        target: (n,) classes.
        rng: the random generator that draws the rows.
    """
    order = rng.permutation(len(target))
    if condition.kind == "missing by class":  # the first classes lose it first
        order = order[np.argsort(target[order], kind="stable")]
    lost = order[: round(condition.level * len(target))]
    modalities, result = tuple(without), clean.copy()
    victims = np.full(len(lost), condition.modality, object)
    if condition.modality == EITHER:
        victims = rng.choice(np.array(modalities, object), len(lost))
    for m in modalities:
        rows = lost[victims == m]
        result[rows] = without[m][rows]
    return result


def without_modality(decoded: Decoded, modality: str) -> Rows:
    """Removes one modality from the rows."""
    store = decoded.rows.stores[modality]
    stores = {**decoded.rows.stores, modality: Store(store.values, torch.zeros_like(store.entry))}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)


def lose_parts(decoded: Decoded, condition: Condition, options: Any, rng: np.random.Generator) -> Rows:
    """Damages a share of each row: pixels of an image, frames of a sound in bursts of 50 ms.

    The damaged parts are zero (policy ignore), or interpolated with their positions known (linear, gaussian).

    Args:
        decoded: the rows.
        condition: the modality, and the share to damage.
        options: the options of the modality.
        rng: the random generator that draws the parts.
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
    """Interpolates the lost parts of a decoded row; returns it unchanged where all of it is lost."""
    return row if lost.all() else modality(name).interpolate(row, lost, method, options)


def mismatch(decoded: Decoded, modality: str, rng: np.random.Generator) -> Rows:
    """Gives each row the file of a row of another class."""
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
    """Corrupts every file of a modality; the arguments are those of `lose_parts`."""
    how, store = modality(condition.modality), decoded.rows.stores[condition.modality]
    changed = store.values[torch.arange(len(store.values))].numpy().copy()
    changed[1:] = how.corrupt(condition.kind, changed[1:], int(condition.level), options, rng)
    stores = {**decoded.rows.stores, condition.modality: Store(torch.from_numpy(changed), store.entry)}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)
