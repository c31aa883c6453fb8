"""Which rows of a table belong together: those of a group; those that have none, where they share a file."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sightsound.clusters import Clusters, by_files, codes_of, components
from sightsound.data.table import Table


def clusters_of(table: Table, modalities: Sequence[str], rows: NDArray[np.int64]) -> Clusters:
    """Of some rows of a table.

    Args:
        table: with these rows, and perhaps others.
        modalities: whose files count.
        rows: (n,) their numbers; a row that is cut into clips is one row.
    """
    frame = table.frame.drop_duplicates("row").set_index("row", drop=False).loc[rows]
    files = {f"{m} file": codes_of(file_identities(table.with_frame(frame), m)) for m in modalities}
    group = frame["group"].to_numpy(object)
    sizes = frame["group"].map(frame["group"].value_counts()).to_numpy()
    together = (group != "") & (sizes > 1)  # the clips of one row are a group too, which says nothing of rows
    if not together.any() or (together.all() and len(set(group)) == 1):
        return by_files(files, len(frame))  # numbers about a single group are numbers about its rows
    alone = np.array([f"row {row}" for row in rows], object)
    keys = [np.where(together, group, alone), *(np.where(together, alone, of_file) for of_file in files.values())]
    return Clusters("group", (components([codes_of(key) for key in keys]),))


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
