"""A whole missing modality between its neighbours in time: embeddings of an ordered group, interpolated.

A video's frames or a series of measurements: rows with a `group` and a `time`. The network is not asked for the row
alone, but for all rows of its group at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.missing.interpolate import METHODS
from sightsound.types import Imputed


class OverTime:
    """A `Impute` for rows that are asked about together.

    Args:
        methods: modality -> linear or gaussian; a modality that is not named stays absent.
        groups: (B,) the name of each row's group; "" for none.
        times: (B,) any unit; no two the same within a group.
    """

    def __init__(self, methods: Mapping[str, str], groups: NDArray[Any], times: NDArray[np.float64]) -> None:
        self.methods, self.groups, self.times = methods, groups, times

    def __call__(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Imputed]:
        """See `Impute`. A row outside of the times where its group has the modality gets its nearest neighbour's."""
        imputed = {}
        for m, method in self.methods.items():
            values, there = embeddings[m].double().numpy().copy(), present[m].numpy()
            rows, uncertainty = np.zeros(len(there), bool), np.full(len(there), np.nan)
            for name in np.unique(self.groups[~there]):
                members = self.groups == name
                known, wanted = np.flatnonzero(members & there), np.flatnonzero(members & ~there)
                if name == "" or not len(known):
                    continue
                low, high = self.times[known].min(), self.times[known].max()
                times = self.times.clip(low, high)[:, None]  # nothing is known of the time before and after
                found = METHODS[method](times[known], values[known], times[wanted])
                values[wanted], rows[wanted] = found.values, True
                if found.uncertainty is not None:
                    uncertainty[wanted] = found.uncertainty
            imputed[m] = Imputed(
                torch.from_numpy(values).to(embeddings[m].dtype)[:, None],
                torch.from_numpy(rows),
                torch.from_numpy(uncertainty).float(),
            )
        return imputed
