"""Tests which differences between classifiers on the same rows are significant.

Two tests complement each other: a sign-flip test on the rows, and a bootstrap over rows and seeds; both treat rows
that belong together as one, and both are corrected for the number of comparisons. A difference is significant where
both tests find it so, and a tie otherwise.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsound.data.clusters import FEWEST_CLUSTERS, Clusters

RESAMPLES = 2000
LEVEL = 0.05
FLIPPED = 12  # groups or files, from which on a sign-flip test can be significant in spite of the correction

Right = dict[str, NDArray[np.bool_]]  # by name (seeds, n): whether each answer is right, of the same n rows


class Difference(NamedTuple):
    """The accuracy of a classifier minus that of the reference.

    Attributes:
        mean: the mean over seeds and rows.
        low, high: 95 % bootstrap interval over seeds and clusters of rows.
        mcnemar_p, bootstrap_p: after Holm's correction.
    """

    mean: float
    low: float
    high: float
    mcnemar_p: float
    bootstrap_p: float

    @property
    def significant(self) -> bool:
        """Returns whether both tests find the difference significant."""
        return self.mcnemar_p < LEVEL and self.bootstrap_p < LEVEL


def compare_to(
    reference: str, right: Right, clusters: Clusters | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Difference]:
    """Compares every classifier to one of them.

    Args:
        reference: a key of `right`.
        right: whether each prediction is right.
        clusters: the clusters of the rows; None: each row is a cluster of its own.
        seed: the seed of the bootstrap.
        resamples: the number of bootstrap resamples.
    """
    others = [name for name in right if name != reference]
    differences = {name: right[name].astype(float) - right[reference] for name in others}
    drawn = resample_means(differences, clusters, seed, resamples)
    lows_highs = {name: np.percentile(drawn[name], [2.5, 97.5]) for name in others}
    sided = {n: min((drawn[n] <= 0).mean(), (drawn[n] >= 0).mean()) for n in others}
    bootstrap = holm({name: min(1.0, 2 * max(float(p), 0.5 / resamples)) for name, p in sided.items()})
    flipped = holm({name: clustered_p(_mostly(right[name]), _mostly(right[reference]), clusters) for name in others})
    return {
        name: Difference(
            float(differences[name].mean()),
            float(lows_highs[name][0]),
            float(lows_highs[name][1]),
            flipped[name],
            bootstrap[name],
        )
        for name in others
    }


class Gain(NamedTuple):
    """The accuracy of the best of several classifiers minus that of the reference, selected on the same rows.

    Attributes:
        name: the name of the best.
        mean: the mean over seeds and rows.
        low, high: 95 % interval that holds for the gains of all of them simultaneously.
        p: p-value of the best against the reference (`clustered_p`), which is valid where clusters are few.
    """

    name: str
    mean: float
    low: float
    high: float
    p: float

    @property
    def significant(self) -> bool:
        """Returns whether the gain is significant after correction for the selection of the best."""
        return self.low > 0 and self.p < LEVEL


def best_of(
    reference: str, right: Right, clusters: Clusters | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> Gain:
    """Compares the most accurate of several classifiers to one, corrected for its selection on the same rows.

    The width of its interval is the largest error of any of the gains in the resamples, as in the bootstrap reality
    check (White, Econometrica 2000), here two-sided. The arguments are those of `compare_to`.
    """
    differences = {name: right[name].astype(float) - right[reference] for name in right if name != reference}
    means = {name: float(values.mean()) for name, values in differences.items()}
    best = max(means, key=lambda name: means[name])
    drawn = resample_means(differences, clusters, seed, resamples)
    off = np.stack([drawn[name] - means[name] for name in differences])
    half = float(np.percentile(np.abs(off).max(axis=0), 95))
    p = clustered_p(_mostly(right[best]), _mostly(right[reference]), clusters)
    return Gain(best, means[best], means[best] - half, means[best] + half, p)


def resample_means(
    values: dict[str, NDArray[Any]], clusters: Clusters | None = None, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, NDArray[np.float64]]:
    """Resamples the mean of each (seeds, n) by the same draws of seeds and clusters (Efron & Tibshirani, 1993)."""
    if not values:
        return {}
    seeds, rows = next(iter(values.values())).shape
    clusters, rng = clusters or Clusters.of_rows(rows), np.random.default_rng(seed)
    stacked = np.stack([value.astype(np.float32) for value in values.values()])  # (names, seeds, n)
    chosen = rng.integers(0, seeds, (1, seeds, resamples))
    sums, rows_drawn = [], []
    for counts in clusters.draws(rng, resamples):  # (t, n)
        sums.append((stacked @ counts.T.astype(np.float32)).astype(float))  # (names, seeds, t)
        rows_drawn.append(counts.sum(axis=1))
    means = np.take_along_axis(np.concatenate(sums, axis=2), chosen, 1).mean(axis=1) / np.concatenate(rows_drawn)
    return dict(zip(values, means, strict=True))


def clustered_p(one: NDArray[np.bool_], other: NDArray[np.bool_], clusters: Clusters | None = None) -> float:
    """Computes the two-sided p-value of the hypothesis that two classifiers (n,) are equally often right.

    Under it, which of them is ahead in a cluster is random: the difference is compared with those under all sign flips
    of the clusters. Where each row is its own cluster this is McNemar's exact test (1947). Few groups or files have too
    few signs for any difference to be significant; there it is Student's t over the clusters' sums. With more than one
    set of clusters the largest p-value counts.
    """
    ahead = one.astype(int) - other
    clusters = clusters or Clusters.of_rows(len(one))
    sums = [np.bincount(codes, ahead).round().astype(int) for codes in clusters.codes]
    return max(
        _student(each) if clusters.by != "row" and FEWEST_CLUSTERS <= len(each) < FLIPPED else _flipped(each)
        for each in sums
    )


def _student(sums: NDArray[np.int64]) -> float:
    """Computes the p-value of Student's t for a zero mean of (k,) numbers; by sign flips if all are equal."""
    from scipy.special import stdtr  # here, since importing it takes a tenth of a second

    error = float(sums.std(ddof=1)) / math.sqrt(len(sums))
    if error == 0:
        return _flipped(sums)
    return 2 * float(stdtr(len(sums) - 1, -abs(float(sums.mean())) / error))


def _flipped(sums: NDArray[np.int64]) -> float:
    """Computes the share of all sign flips of (k,) numbers whose sum is at least as far from zero as theirs."""
    from scipy.stats import binom  # here, since importing it takes half a second

    sizes, counts = np.unique(np.abs(sums[sums != 0]), return_counts=True)
    chances = np.ones(1)  # the probability of each sum, from the lowest in steps of one
    for size, count in zip(sizes, counts, strict=True):
        of_size = np.zeros(2 * size * count + 1)
        of_size[:: 2 * size] = binom.pmf(np.arange(count + 1), count, 0.5)
        chances = np.convolve(chances, of_size)
    values = np.arange(len(chances)) - len(chances) // 2
    return float(min(1.0, chances[np.abs(values) >= abs(int(sums.sum()))].sum()))


def _mostly(right: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(seeds, n) -> (n,): a row counts as right where most seeds are."""
    most: NDArray[np.bool_] = right.mean(axis=0) > 0.5
    return most


def holm(values: dict[str, float]) -> dict[str, float]:
    """Corrects p-values by Holm's step-down method (1979)."""
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, (name, p) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(values) - rank) * p))
        corrected[name] = largest
    return corrected
