"""Measures of similarity of two sets of examples: Fréchet distance, diversity, copies; shares with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

BOOTSTRAPS = 1000
COPY = 1 / 3  # of the distance to the second nearest, below which an example is a copy
CHUNK = 256


def share(right: NDArray[np.bool_]) -> dict[str, Any]:
    """Computes the mean of (n,) or (n, k) with its 95 % bootstrap interval, over the n rows."""
    rows = right.reshape(len(right), -1).mean(1)
    drawn = np.random.default_rng(0).integers(len(rows), size=(BOOTSTRAPS, len(rows)))
    low, high = np.percentile(rows[drawn].mean(1), [2.5, 97.5])
    return {"value": float(rows.mean()), "ci": [float(low), float(high)]}


def frechet(one: Tensor, other: Tensor) -> float:
    """Computes the Fréchet distance of two sets of embeddings (n, D), (m, D) (Heusel et al., FID, 2017).

    Covariances are unbiased, as in the authors' own numbers; each set has two rows or more.
    """
    one, other = one.double(), other.double()
    a, b = one.T.cov(), other.T.cov()
    # the trace of the square root of a product of two covariances, whose eigenvalues are real and not negative
    root = torch.linalg.eigvals(a @ b).real.clamp_min(0).sqrt().sum()
    distance = (one.mean(0) - other.mean(0)).square().sum() + a.trace() + b.trace() - 2 * root
    return float(distance.clamp_min(0))


def within(features: Tensor) -> float:
    """Computes the mean distance between the k examples of each of n sets, (n, k, numbers)."""
    k = features.shape[1]
    distances = torch.cdist(features, features)
    return float(distances.sum((1, 2)).div(k * (k - 1)).mean())


def within_classes(features: Tensor, classes: NDArray[np.int64]) -> float:
    """Computes the mean distance between examples (n, numbers) of one class, weighted by class frequency."""
    total, rows = 0.0, 0
    for number in np.unique(classes):
        members = features[torch.from_numpy(classes == number)]
        if len(members) > 1:
            total += len(members) * within(members[None])
            rows += len(members)
    return total / max(rows, 1)


def copies(features: Tensor, known: Tensor) -> NDArray[np.bool_]:
    """Finds examples (n, numbers) that are much closer to one of the known (m, numbers) than to any other of them.

    Much closer is less than a third of the distance to the second nearest (Yoon et al., Diffusion Probabilistic Models
    Generalize when They Fail to Memorize, 2023).
    """
    found = []
    for part in features.split(CHUNK):
        near = torch.cdist(part, known).topk(min(2, len(known)), largest=False).values
        found.append(near[:, 0] < COPY * near[:, -1])
    return torch.cat(found).numpy()


def closest(features: Tensor, known: Tensor) -> NDArray[np.int64]:
    """Returns (n,) which of the known (m, numbers) is closest to each example (n, numbers)."""
    return torch.cat([torch.cdist(part, known).argmin(1) for part in features.split(CHUNK)]).numpy()
