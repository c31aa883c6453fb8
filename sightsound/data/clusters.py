"""Which rows of a table belong together: those of a group; without groups, those that share a file."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.clusters import Clusters, coarsest, codes_of
from sightsound.data.table import Table


def clusters_of(table: Table, modalities: Sequence[str], rows: NDArray[np.int64]) -> Clusters:
    """Of some rows of a table.

    Args:
        table: with these rows, and perhaps others.
        modalities: whose files count.
        rows: (n,) their numbers; a row that is cut into clips is one row.
    """
    frame = table.frame.drop_duplicates("row").set_index("row", drop=False).loc[rows]
    if frame["group"][frame["group"] != ""].nunique() > 1:  # numbers about a single group are numbers about its rows
        return Clusters("group", (codes_of(frame["group"]),))
    files = {f"{m} file": codes_of(file_identities(table.with_frame(frame), m)) for m in modalities}
    return coarsest(files, len(frame))


def file_identities(table: Table, modality: str) -> NDArray[np.object_]:
    """(n,) the same for rows of one file, however its path is spelt or linked; "" where there is none."""
    names = table.frame[modality].to_numpy()
    identity: dict[str, Hashable] = {"": ""}
    for name in pd.unique(names):
        if name:
            try:
                status = os.stat(table.path(name))
                identity[name] = (status.st_dev, status.st_ino)
            except (OSError, ValueError):  # not there, or in the table itself, where equal contents have one name
                identity[name] = name
    found = np.empty(len(names), object)
    found[:] = [identity[name] for name in names]
    return found
