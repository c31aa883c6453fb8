"""Clusters of dependent rows: finds them in a table, and accounts for them in intervals and tests.

Predictions for rows of one speaker, site or recording are correlated: a hundred recordings of ten rows each hold
little more information than a hundred rows. Intervals and tests therefore resample whole clusters of rows.
"""

from __future__ import annotations

import math
import os
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.data.table import Table

FEWEST_CLUSTERS = 5  # with fewer, a bootstrap interval is invalid: of two equally good clusters it would be empty
LARGEST_DRAW = 500_000  # numbers that are drawn at once
LARGEST_COMPONENT = 0.1  # of all rows; a larger one would leave too few clusters to resample


class Clusters(NamedTuple):
    """Which of n rows belong together.

    Attributes:
        by: what they share: "group", "audio file", ..., or "row" where each row is a cluster of its own.
        codes: the number of each row's cluster (n,), from 0; several arrays where rows share files of both modalities.
    """

    by: str
    codes: tuple[NDArray[np.int64], ...]

    @classmethod
    def of_rows(cls, rows: int) -> Clusters:
        """Makes each row a cluster of its own."""
        return cls("row", (np.arange(rows),))

    def at(self, places: NDArray[np.integer] | NDArray[np.bool_]) -> Clusters:
        """Selects some of the rows."""
        return Clusters(self.by, tuple(np.unique(codes[places], return_inverse=True)[1] for codes in self.codes))

    def draws(self, rng: np.random.Generator, times: int) -> Iterator[NDArray[np.float64]]:
        """Draws all clusters with replacement, `times` times; yields in parts (t, n) how often each row occurs.

        This is the cluster bootstrap (Davison & Hinkley, 1997, section 3.8); with two sets of clusters the counts are
        multiplied, which is the pigeonhole bootstrap (Owen, 2007).
        """
        at_once = max(LARGEST_DRAW // len(self.codes[0]), 1)
        for start in range(0, times, at_once):
            yield self._drawn(rng, min(at_once, times - start))

    def _drawn(self, rng: np.random.Generator, times: int) -> NDArray[np.float64]:
        drawn = np.ones((times, len(self.codes[0])))
        for codes in self.codes:
            count = int(codes.max()) + 1
            places = rng.integers(0, count, (times, count)) + count * np.arange(times)[:, None]
            drawn *= np.bincount(places.ravel(), minlength=times * count).reshape(times, count)[:, codes]
        empty = ~drawn.any(axis=1)
        if empty.any():  # of two sets the product may be all zeros where rows are few
            drawn[empty] = self._drawn(rng, int(empty.sum()))
        return drawn

    @property
    def number(self) -> int:
        """Returns the number of clusters; of two sets the smaller one."""
        return min(int(codes.max()) + 1 for codes in self.codes)

    @property
    def few(self) -> bool:
        """Returns whether they are too few to generalise to others."""
        return self.number < (2 if self.by == "row" else FEWEST_CLUSTERS)

    def as_metrics(self) -> dict[str, str | int]:
        """Describes the clusters as in `metrics.json`."""
        return {"by": self.by, "count": self.number}


def lowest_mean(values: NDArray[np.float64], clusters: Clusters, share: float = 0.05) -> float:
    """Computes a lower confidence bound of the mean of values (n,), by Student's t over clusters.

    The bound fails in a `share` of all samples. A bootstrap would be too narrow with few clusters. Of two sets of
    clusters the lower bound counts.
    """
    from scipy.special import stdtrit  # here, since importing it takes a tenth of a second

    mean, bounds = float(values.mean()), []
    for codes in clusters.codes:
        count = int(codes.max()) + 1
        if count < 2:
            return -math.inf
        bounds.append(mean - float(stdtrit(count - 1, 1 - share)) * _standard_error(values, codes))
    return min(bounds)


def effective_rows(values: NDArray[np.float64], clusters: Clusters, share: float) -> float:
    """Returns the effective number of independent rows for the mean of values (n,), at most n.

    It is the number of rows by the design effect (Kish, 1965), with the correction of Korn & Graubard (1998) for few
    clusters: by the square of the ratio of Student's t of rows to that of clusters. Of two sets of clusters the
    variance is that of both minus that of their intersections (Cameron, Gelbach & Miller, 2011). Where all values are
    equal, it is the number of clusters.

    Args:
        values: one value for each row.
        clusters: the clusters of the rows.
        share: the share of all samples beyond either end of the interval, for which t is taken.
    """
    from scipy.special import stdtrit  # here, since importing it takes a tenth of a second

    rows, count = len(values), clusters.number
    if rows == count or count < 2:
        return rows
    if values.min() == values.max():
        return count
    errors = [_standard_error(values, codes) ** 2 for codes in clusters.codes]
    if len(errors) > 1:
        both = np.unique(np.stack(clusters.codes), axis=1, return_inverse=True)[1]
        errors.append(max(sum(errors) - _standard_error(values, both.ravel()) ** 2, *errors))
    variance = float(values.var())
    independent = variance / errors[-1] if errors[-1] * rows > 1e-9 * variance else rows
    return min(independent, rows) * float(stdtrit(rows - 1, 1 - share) / stdtrit(count - 1, 1 - share)) ** 2


def _standard_error(values: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """Computes the standard error of the mean of values (n,), linearised over at least two clusters."""
    count = int(codes.max()) + 1
    off = np.bincount(codes, values - values.mean())
    return math.sqrt(count / (count - 1) * float((off**2).sum())) / len(values)


def resampled_over(described: dict[str, Any] | None) -> str:
    """Says in words over what intervals were resampled, from `Clusters.as_metrics`; None: of an older version."""
    if not described or described["by"] == "row":
        return "the rows"
    few = ", too few to tell of others" if described["count"] < FEWEST_CLUSTERS else ""
    return f"whole {described['by'].replace(' and ', 's and ')}s ({described['count']}{few})"


def codes_of(values: Iterable[object]) -> NDArray[np.int64]:
    """Numbers values (n,) from 0 in the order of their first occurrence; each "" has a number of its own."""
    found: dict[object, int] = {}
    codes = [found.setdefault(value if value != "" else ("alone", i), len(found)) for i, value in enumerate(values)]
    return np.array(codes, np.int64)


def components(keys: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Returns (n,) the number of each row's component, where rows that share any of their keys (n,) are connected."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, starts = len(keys[0]), np.cumsum([0, *(int(key.max()) + 1 for key in keys)])
    ends = np.concatenate([rows + start + key for start, key in zip(starts, keys, strict=False)])
    begins = np.tile(np.arange(rows), len(keys))
    links = coo_array((np.ones(len(ends)), (begins, ends)), shape=(rows + starts[-1],) * 2)
    return codes_of(connected_components(links, directed=False)[1][:rows].tolist())


def by_files(files: dict[str, NDArray[np.int64]], rows: int) -> Clusters:
    """Returns the clusters of rows that share files.

    A cluster holds the rows connected by files, unless that connects a large part of all rows; then each set of files
    gives clusters of its own, less a set whose clusters lie within the other's.

    Args:
        files: by name, such as "audio file", the number of each row's file (n,).
        rows: n.
    """
    shared = {name: codes for name, codes in files.items() if 0 < codes.max() < rows - 1}
    if not shared:
        return Clusters.of_rows(rows)
    connected = components(list(shared.values()))
    if len(shared) == 1 or np.bincount(connected).max() <= LARGEST_COMPONENT * rows:
        return Clusters(" and ".join(shared), (connected,))
    names = list(shared)
    kept = [
        name
        for i, name in enumerate(names)
        if not any(
            _within(shared[name], shared[other]) and (i > j or not _within(shared[other], shared[name]))
            for j, other in enumerate(names)
            if j != i
        )
    ]
    return Clusters(" and ".join(kept), tuple(shared[name] for name in kept))


def _within(codes: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    """Returns whether each cluster lies within one of the others."""
    return bool((pd.Series(others).groupby(codes).nunique() == 1).all())


def clusters_of(table: Table, modalities: Sequence[str], rows: NDArray[np.int64]) -> Clusters:
    """Returns the clusters of some rows of a table.

    Args:
        table: a table that holds these rows, and perhaps others.
        modalities: the modalities whose files count.
        rows: (n,) their numbers; a row that is cut into clips is one row.
    """
    frame = table.frame.drop_duplicates("row").set_index("row", drop=False).loc[rows]
    files = {f"{m} file": codes_of(file_identities(table.with_frame(frame), m)) for m in modalities}
    group = frame["group"].to_numpy(object)
    sizes = frame["group"].map(frame["group"].value_counts()).to_numpy()
    together = (group != "") & (sizes > 1)  # the clips of one row are a group too, which does not connect rows
    if not together.any() or (together.all() and len(set(group)) == 1):
        return by_files(files, len(frame))  # metrics of a single group are metrics of its rows
    alone = np.array([f"row {row}" for row in rows], object)
    keys = [np.where(together, group, alone), *(np.where(together, alone, of_file) for of_file in files.values())]
    return Clusters("group", (components([codes_of(key) for key in keys]),))


def file_identities(table: Table, modality: str) -> NDArray[np.object_]:
    """Returns (n,) an identity of each row's file, equal for links and spellings of one path; "" for none."""
    names = table.frame[modality].to_numpy()
    identity: dict[str, Hashable] = {"": ""}
    for name in pd.unique(names):
        if name:
            try:
                status = os.stat(table.path(name))
                identity[name] = (status.st_dev, status.st_ino)
            except (OSError, ValueError):  # missing, or in the table itself, where equal contents have one name
                identity[name] = name
    found = np.empty(len(names), object)
    found[:] = [identity[name] for name in names]
    return found
