"""Interpolates a whole missing modality along time, between the embeddings of an ordered group.

The rows have a `group` and a `time`, as the frames of a video or a series of measurements do. All rows of a group are
predicted together.
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
    """An `Impute` for rows that are predicted together.

    Args:
        methods: modality -> linear or gaussian; a modality that is not named stays absent.
        groups: (B,) the name of each row's group; "" for none.
        times: (B,) in any unit, distinct within a group.
    """

    def __init__(self, methods: Mapping[str, str], groups: NDArray[Any], times: NDArray[np.float64]) -> None:
        self.methods, self.groups, self.times = methods, groups, times

    def __call__(self, embeddings: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> dict[str, Imputed]:
        """Imputes as `Impute` says. A row before or after all known times gets its nearest neighbour's embedding."""
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
                times = self.times.clip(low, high)[:, None]  # no extrapolation before and after
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
