"""Embeddings of every row by trained encoders, computed once and held in memory for many uses."""

from __future__ import annotations

import torch
from torch import Tensor

from sightsound.config import Config
from sightsound.data.dataset import Rows, loader
from sightsound.data.prepared.store import Store
from sightsound.hardware import reseed
from sightsound.inference.subsets import BATCH_ROWS
from sightsound.network.classifier import ClassifierNetwork
from sightsound.progress import progress_bar
from sightsound.training.augment import Augment


@torch.no_grad()
def embed(network: ClassifierNetwork, rows: Rows, config: Config | None = None, views: int = 1, seed: int = 0) -> Rows:
    """Computes unimodal embeddings of rows of decoded files.

    Args:
        network: the network of the encoders.
        rows: n rows, with targets.
        config: where given, each view is augmented as in training.
        views: how often each row is embedded.
        seed: the seed of the augmentation.

    Returns:
        views * n rows, which hold embeddings (D,) in place of decoded files.
    """
    if rows.target is None:
        raise ValueError("rows to learn from have targets")
    network.eval()
    reseed(seed)
    found: dict[str, list[Tensor]] = {m: [] for m in network.modalities}
    augment = Augment(config) if config else None
    with progress_bar("embedding", views * len(rows), "row") as bar:
        for _ in range(views):
            for batch in loader(rows, BATCH_ROWS):
                batch = batch.to(network.device)
                features = augment(network, batch) if augment else network.featurize(batch)
                for m, embedding in network.fuse(features).embeddings.items():
                    found[m].append(embedding.cpu())
                bar.update(len(features.present[network.modalities[0]]))
    stores = {}
    for m, parts in found.items():
        values = torch.cat(parts)
        there = (rows.stores[m].entry[rows.rows] > 0).repeat(views)
        blank = torch.zeros(1, values.shape[1])
        stores[m] = Store(torch.cat([blank, values]), torch.where(there, torch.arange(len(values)) + 1, 0))
    count = views * len(rows)
    return Rows(stores, rows.target[rows.rows].repeat(views), torch.arange(count))
