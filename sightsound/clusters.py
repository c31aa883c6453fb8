"""Rows that are not independent of each other, and what chance could have made of them.

Rows of one speaker, site or recording are right or wrong together: a hundred recordings that stand in ten rows each say
as much as little more than a hundred rows. Intervals and tests therefore resample whole clusters of rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Clusters(NamedTuple):
    """Which of n rows belong together.

    Attributes:
        by: what makes them belong together: "group", "audio file", ..., or "row" where each stands alone.
        codes: the number of each row's cluster (n,), from 0; more than one where rows share files of both modalities.
    """

    by: str
    codes: tuple[NDArray[np.int64], ...]

    @classmethod
    def of_rows(cls, rows: int) -> Clusters:
        """Each row alone."""
        return cls("row", (np.arange(rows),))

    def at(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> Clusters:
        """Of some of the rows."""
        return Clusters(self.by, tuple(codes_of(codes[places]) for codes in self.codes))

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """How often each row (n,) occurs when as many clusters as there are are drawn with replacement.

        The cluster bootstrap (Davison & Hinkley, 1997, section 3.8); with two sets of clusters the product of both
        counts, the pigeonhole bootstrap (Owen, 2007).
        """
        drawn = np.zeros(0)
        while not drawn.any():  # of two sets the product may be nothing where rows are few
            drawn = np.ones(len(self.codes[0]))
            for codes in self.codes:
                count = int(codes.max()) + 1
                drawn *= np.bincount(rng.integers(0, count, count), minlength=count)[codes]
        return drawn

    @property
    def number(self) -> int:
        """How many there are; of two sets the fewer."""
        return min(int(codes.max()) + 1 for codes in self.codes)

    def described(self) -> dict[str, str | int]:
        """As it stands in `metrics.json`."""
        return {"by": self.by, "count": self.number}


def lowest_mean(values: NDArray[np.float64], clusters: Clusters, share: float = 0.05, resamples: int = 1000) -> float:
    """The mean of values (n,) that a share of all cluster resamples fall below."""
    rng = np.random.default_rng(0)
    drawn = [clusters.draw(rng) for _ in range(resamples)]
    return float(np.quantile([times @ values / times.sum() for times in drawn], share))


def resampled_over(described: dict[str, Any] | None) -> str:
    """What intervals were resampled over, in words, from `Clusters.described`; None: of an older version."""
    if not described or described["by"] == "row":
        return "the rows"
    return f"whole {described['by'].replace(' and ', 's and ')}s ({described['count']})"


def codes_of(values: Iterable[object]) -> NDArray[np.int64]:
    """Numbers (n,) from 0 in the order of their first occurrence, equal for equal values; each "" has its own."""
    found: dict[object, int] = {}
    codes = [found.setdefault(value if value != "" else ("alone", i), len(found)) for i, value in enumerate(values)]
    return np.array(codes, np.int64)


def coarsest(by_name: dict[str, NDArray[np.int64]], rows: int) -> Clusters:
    """The clusters of several sets, without those that hold one row each or lie within clusters of another set."""
    shared = {name: codes for name, codes in by_name.items() if len(np.unique(codes)) < len(codes)}
    kept = {
        name: codes
        for i, (name, codes) in enumerate(shared.items())
        if not any(
            _within(codes, other) and (i > j or not _within(other, codes))
            for j, other in enumerate(shared.values())
            if j != i
        )
    }
    return Clusters(" and ".join(kept), tuple(kept.values())) if kept else Clusters.of_rows(rows)


def _within(codes: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    """Whether each cluster lies within one of the others."""
    return bool((pd.Series(others).groupby(codes).nunique() == 1).all())
