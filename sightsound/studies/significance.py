"""Which differences between classifiers, asked about the same rows, are real.

Two tests that see different things: McNemar's on the rows, and a bootstrap over rows and seeds; both corrected for the
number of comparisons. A difference that both call real is real, everything else is a tie.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

RESAMPLES = 2000
LEVEL = 0.05


class Difference(NamedTuple):
    """Accuracy of a classifier less that of the reference.

    Attributes:
        mean: over seeds and rows.
        low, high: 95 % bootstrap interval over seeds and rows.
        mcnemar_p, bootstrap_p: after Holm's correction.
    """

    mean: float
    low: float
    high: float
    mcnemar_p: float
    bootstrap_p: float

    @property
    def real(self) -> bool:
        """Whether both tests say so."""
        return self.mcnemar_p < LEVEL and self.bootstrap_p < LEVEL


def compare_to(reference: str, right: dict[str, NDArray[np.bool_]], seed: int = 0) -> dict[str, Difference]:
    """Every classifier against one of them.

    Args:
        reference: a key of `right`.
        right: by name (seeds, n): whether each answer is right, of the same n rows in the same order.
        seed: of the bootstrap.
    """
    others = [name for name in right if name != reference]
    differences = {name: right[name].astype(float) - right[reference] for name in others}
    drawn = resampled(differences, seed)
    lows_highs = {name: np.percentile(drawn[name], [2.5, 97.5]) for name in others}
    sided = {n: min((drawn[n] <= 0).mean(), (drawn[n] >= 0).mean()) for n in others}
    bootstrap = holm({name: min(1.0, 2 * max(float(p), 0.5 / RESAMPLES)) for name, p in sided.items()})
    mcnemar = holm({name: _mcnemar(right[name], right[reference]) for name in others})
    return {
        name: Difference(
            float(differences[name].mean()),
            float(lows_highs[name][0]),
            float(lows_highs[name][1]),
            mcnemar[name],
            bootstrap[name],
        )
        for name in others
    }


def resampled(values: dict[str, NDArray[Any]], seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Means (RESAMPLES,) of each (seeds, n) under the same draws of seeds and rows (Efron & Tibshirani, 1993)."""
    if not values:
        return {}
    seeds, rows = next(iter(values.values())).shape
    rng = np.random.default_rng(seed)
    stacked = np.stack([value.astype(np.float32) for value in values.values()])  # (names, seeds, n)
    result = np.empty((len(values), RESAMPLES))
    for i in range(RESAMPLES):
        counts = np.bincount(rng.integers(0, rows, rows), minlength=rows).astype(np.float32)
        result[:, i] = (stacked @ counts)[:, rng.integers(0, seeds, seeds)].mean(axis=1) / rows
    return dict(zip(values, result, strict=True))


def _mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Exact p-value (McNemar, 1947); a row counts as right where most seeds are."""
    first, second = one.mean(axis=0) > 0.5, other.mean(axis=0) > 0.5
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second).pvalue)


def holm(values: dict[str, float]) -> dict[str, float]:
    """Step-down correction of p-values (Holm, 1979)."""
    corrected: dict[str, float] = {}
    largest = 0.0
    for rank, (name, p) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(values) - rank) * p))
        corrected[name] = largest
    return corrected
