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
from sightsound.data.files import FULL_SCALE
from sightsound.data.prepared.store import Store
from sightsound.inference.subsets import Answered
from sightsound.missing.gaps import Gaps
from sightsound.missing.signals import interpolate_audio, interpolate_image
from sightsound.studies.robustness.corruptions import Setting, corrupt_audio, corrupt_image
from sightsound.types import INTERPOLATIONS

CLEAN, CONTRADICTION = "clean", "contradiction"
LOST_PARTS = {"image": "dead pixels", "audio": "lost frames"}
EITHER = "either"
FRAME_SECONDS, BURST = 0.01, 5  # of sound that is lost together: 50 ms
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


def lose_parts(decoded: Decoded, condition: Condition, sample_rate_hz: int, rng: np.random.Generator) -> Rows:
    """The rows with a share of each picture's pixels dead, or of each sound's frames lost in bursts of 50 ms.

    What is lost is zero (policy mask), or interpolated by one who knows what is lost (linear, gaussian).
    """
    store = decoded.rows.stores[condition.modality]
    changed = store.values[torch.arange(len(store.values))].numpy().copy()
    if condition.modality == "image":
        gaps = [rng.random(pixels.shape[:2]) < condition.level for pixels in changed[1:]]
    else:
        frame = round(FRAME_SECONDS * sample_rate_hz)
        gaps = [bursts(len(samples), frame, condition.level, rng) for samples in changed[1:]]
    for values, lost in zip(changed[1:], gaps, strict=True):
        values[lost] = 0
    if condition.policy in INTERPOLATIONS:
        workers = Parallel(-1 if len(gaps) >= WORTH_PROCESSES else 1)
        repair = delayed(_repaired)
        changed[1:] = workers(
            repair(values, lost, sample_rate_hz, condition.policy)
            for values, lost in zip(changed[1:], gaps, strict=True)
        )
    stores = {**decoded.rows.stores, condition.modality: Store(torch.from_numpy(changed), store.entry)}
    return Rows(stores, decoded.rows.target, decoded.rows.rows)


def _repaired(values: NDArray[Any], gaps: Gaps, sample_rate_hz: int, method: str) -> NDArray[Any]:
    """Pixels (H, W, channels) of 8 bits or samples (N,) of 16, of which some (H, W) or (N,) are lost, interpolated."""
    if gaps.all():
        return values
    if values.ndim == 3:
        return interpolate_image(values, gaps, method).values
    wave = interpolate_audio(values.astype(np.float32) / FULL_SCALE, sample_rate_hz, gaps, method)
    whole: NDArray[Any] = np.clip(np.rint(wave.values * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1)
    return whole


def bursts(samples: int, frame: int, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(samples,) what is lost: a share of the frames, `BURST` frames in a row where they do not meet."""
    count = -(-samples // frame)
    lost: NDArray[np.bool_] = np.zeros(count, bool)
    while lost.sum() < round(share * count):
        start = rng.integers(count)
        left = round(share * count) - int(lost.sum())
        lost[start : start + min(BURST, left)] = True
    return lost.repeat(frame)[:samples]


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


def corrupt(decoded: Decoded, condition: Condition, sample_rate_hz: int, rng: np.random.Generator) -> Rows:
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
