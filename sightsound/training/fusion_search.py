"""Finds the wiring of the strategy `search` on trained encoders by adding cells one by one to the best wirings so far.

Every wiring is trained shortly on the channel means of all stages, computed once, and measured on validation rows, as
in MFAS (Perez-Rua et al., 2019), whose surrogate model is not needed at this size.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sightsound.config import Config
from sightsound.data.dataset import Rows, loader
from sightsound.fusion.search import ACTIVATIONS, Search
from sightsound.hardware import reseed
from sightsound.inference.metrics import macro_means
from sightsound.inference.subsets import BATCH_ROWS
from sightsound.network.classifier import ClassifierNetwork
from sightsound.progress import progress_bar

CELLS, KEPT = 3, 2  # most cells of a wiring, and how many wirings are extended
ROWS, EPOCHS, BATCH, LEARNING_RATE = 6000, 4, 128, 3e-3


def search(network: ClassifierNetwork, fusion: Search, rows: Mapping[str, Rows], config: Config) -> str:
    """Returns the best wiring found.

    Args:
        network: a network with trained encoders.
        fusion: its strategy, which is not changed.
        rows: the rows of train and val.
        config: the configuration, whose seed decides everything that is drawn.
    """
    train, val = (_means(network, rows[split], config.seed) for split in ("train", "val"))
    stages = ["-".join(map(str, k)) for k in itertools.product(range(fusion.stages), repeat=len(fusion.modalities))]
    cells = [f"{k}-{activation}" for k in stages for activation in ACTIVATIONS]
    scores: dict[str, float] = {}
    best = [""]
    with progress_bar("searching wirings", len(cells) * (1 + KEPT * (CELLS - 1)), "wiring") as bar:
        for _ in range(CELLS):
            for joins in [f"{start} {cell}".strip() for start in best for cell in cells]:
                scores[joins] = _score(fusion, joins, train, val, config.seed)
                bar.update()
            best = sorted(scores, key=lambda joins: -scores[joins])[:KEPT]
    return best[0]


@torch.no_grad()
def _means(network: ClassifierNetwork, rows: Rows, seed: int) -> tuple[Tensor, Tensor]:
    """Computes channel means of all stages (n, channels) and classes (n,) of complete rows, `ROWS` at most."""
    if rows.target is None:
        raise ValueError("a search needs targets")
    chosen = rows.rows[rows.complete()]
    chosen = chosen[torch.randperm(len(chosen), generator=torch.Generator().manual_seed(seed))[:ROWS]]
    network.eval()
    shared = []
    for batch in loader(Rows(rows.stores, rows.target, chosen), BATCH_ROWS):
        features = network.featurize(batch)
        shared.append(network.encode(features.inputs, features.present).shared)
    return torch.cat([means for means in shared if means is not None]), rows.target[chosen]


def _score(fusion: Search, joins: str, train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor], seed: int) -> float:
    """Computes macro F1 on validation rows after a short training."""
    reseed(seed)
    tried = copy.deepcopy(fusion)
    tried.rewire(joins)
    optimizer = torch.optim.AdamW(tried.parameters(), LEARNING_RATE)
    for _ in range(EPOCHS):
        for part in torch.split(torch.randperm(len(train[1])), BATCH):
            loss = cross_entropy(tried.combine({}, {}, {}, train[0][part]).logits, train[1][part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        predicted = tried.combine({}, {}, {}, val[0]).logits.argmax(1)
    return macro_means((val[1] * fusion.classes + predicted).numpy(), fusion.classes)["macro_f1"]
