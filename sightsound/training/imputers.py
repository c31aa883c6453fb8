"""Fits imputers of missing modalities on complete rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from sightsound.data.dataset import Rows, loader
from sightsound.inference.subsets import BATCH_ROWS
from sightsound.missing import FEWEST_COMPLETE, Imputers
from sightsound.network.build import new_imputers
from sightsound.network.classifier import ClassifierNetwork

MOST_ROWS = 4096  # complete rows to fit on; a random sample where there are more


def complete_rows(rows: Rows) -> Tensor:
    """Returns the rows that have every modality, as positions in the table."""
    there = torch.stack([store.entry[rows.rows] > 0 for store in rows.stores.values()]).all(0)
    return rows.rows[there]


def fit_imputers(network: ClassifierNetwork, rows: Rows, policies: Iterable[str]) -> dict[str, Imputers]:
    """Fits the imputers of each policy on complete rows; returns none at all where there are too few.

    Args:
        network: the network whose embeddings are imputed; its mode is left unchanged.
        rows: the rows of the training split.
        policies: names in IMPUTERS, or dotted paths.
    """
    policies, chosen = list(policies), complete_rows(rows)
    if not policies or len(network.modalities) == 1 or len(chosen) < FEWEST_COMPLETE:
        return {}
    drawn = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]
    embeddings = _embedded(network, Rows(rows.stores, None, chosen[drawn.sort().values]))
    found = {}
    for policy in policies:
        found[policy] = new_imputers(network, policy).to(network.device)
        found[policy].fit(embeddings)
        found[policy].eval()
    return found


@torch.no_grad()
def _embedded(network: ClassifierNetwork, rows: Rows) -> dict[str, Tensor]:
    """Computes unimodal embeddings (n, D) of each modality, on the network's device."""
    training = network.training
    network.eval()
    parts = []
    for batch in loader(rows, BATCH_ROWS):
        features = network.featurize(batch.to(network.device))
        parts.append(network.encode(features.inputs, features.present).unimodal)
    network.train(training)
    return {m: torch.cat([part[m] for part in parts]) for m in network.modalities}
