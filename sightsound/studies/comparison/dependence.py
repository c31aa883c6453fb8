"""Tests whether the modalities are dependent given the class.

Where they are independent, the product of calibrated unimodal predictions is optimal, and no feature fusion can do
better. Where they are dependent (the class is a property of image and sound together), decision fusion may fail.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from sightsound.data.clusters import Clusters
from sightsound.data.dataset import Rows
from sightsound.hardware import reseed
from sightsound.inference.metrics import share_interval

HIDDEN, EPOCHS, BATCH, LEARNING_RATE = 128, 20, 256, 1e-3
MOST_PAIRS = 20_000
FEWEST_PAIRS = 50


class Dependence(NamedTuple):
    """How well original pairs can be told from random pairs of the same class.

    Attributes:
        accuracy: on held-out pairs; 0.5 where the modalities are independent given the class.
        low, high: its 95 % interval.
        pairs: the number of held-out pairs.
    """

    accuracy: float
    low: float
    high: float
    pairs: int

    @property
    def found(self) -> bool:
        """Returns whether there is a dependence that matters."""
        return self.low > 0.51


def conditional_dependence(
    train: Rows, held_out: Rows, clusters: Clusters, classes: int, seed: int = 0
) -> Dependence | None:
    """Runs a classifier two-sample test (Lopez-Paz & Oquab, 2017), permuting within the class (Sen et al., 2017).

    Args:
        train: rows of embeddings to train on.
        held_out: other rows of embeddings, to test on.
        clusters: which of these belong together; a permuted pair belongs to the row of its first embedding.
        classes: C.
        seed: the seed of weights and permutations.

    Returns:
        the dependence; None where there are too few complete rows or clusters, or not two modalities.
    """
    if len(train.stores) != 2 or clusters.few:
        return None
    generator = torch.Generator().manual_seed(seed)
    x, y, _ = _pairs(train, classes, generator)
    asked, real, places = _pairs(held_out, classes, generator)
    if min(len(y), len(real)) < 2 * FEWEST_PAIRS:
        return None
    mean, deviation = x.mean(0), x.std(0).clamp_min(1e-6)
    reseed(seed)
    critic = nn.Sequential(nn.Linear(x.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU())
    critic = critic.append(nn.Linear(HIDDEN, 1))
    optimizer = torch.optim.AdamW(critic.parameters(), LEARNING_RATE, weight_decay=0.01)
    x = (x - mean) / deviation
    for _ in range(EPOCHS):
        for part in torch.split(torch.randperm(len(x), generator=generator), BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(critic(x[part])[:, 0], y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = ((critic((asked - mean) / deviation)[:, 0] > 0) == real.bool()).numpy()
    interval = share_interval(right, clusters.at(places.repeat(2).numpy()))
    return Dependence(float(right.mean()), *interval, len(right) // 2)


def _pairs(rows: Rows, classes: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Builds original pairs and pairs permuted within the class: (2 n, D + D + C), and which are original (2 n,).

    The class is part of each pair. The third result is the places (n,) of the original pairs among the rows.
    """
    if rows.target is None:
        raise ValueError("dependence given the class needs classes")
    places = torch.nonzero(rows.complete())[:, 0]
    places = places[torch.randperm(len(places), generator=generator)[:MOST_PAIRS]]
    chosen = rows.rows[places]
    target = rows.target[chosen]
    one, other = (store.read(store.entry[chosen]) for store in rows.stores.values())
    order = torch.arange(len(chosen))
    for c in range(classes):
        of_class = torch.nonzero(target == c)[:, 0]
        order[of_class] = of_class[torch.randperm(len(of_class), generator=generator)]
    known = nn.functional.one_hot(target, classes).float()
    x = torch.cat([torch.cat([one, other, known], 1), torch.cat([one, other[order], known], 1)])
    return x, torch.cat([torch.ones(len(chosen)), torch.zeros(len(chosen))]), places
