"""Fits imputers of missing modalities on complete rows."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from sightsound.data.dataset import Rows
from sightsound.inference.subsets import embed_rows
from sightsound.missing import FEWEST_COMPLETE, Imputers
from sightsound.network.build import new_imputers
from sightsound.network.classifier import ClassifierNetwork

MOST_ROWS = 4096  # complete rows to fit on; a random sample where there are more


def fit_imputers(network: ClassifierNetwork, rows: Rows, policies: Iterable[str]) -> dict[str, Imputers]:
    """For each policy, imputers that are fitted on complete rows; none at all where there are too few.

    Args:
        network: whose embeddings are imputed; left in the mode that it is in.
        rows: of the training split.
        policies: names in IMPUTERS, or dotted paths.
    """
    policies, chosen = list(policies), rows.rows[rows.complete()]
    if not policies or len(network.modalities) == 1 or len(chosen) < FEWEST_COMPLETE:
        return {}
    drawn = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]
    training = network.training
    embeddings, _ = embed_rows(network.eval(), Rows(rows.stores, None, chosen[drawn.sort().values]))
    embeddings = {m: z.to(network.device) for m, z in embeddings.items()}
    network.train(training)
    found = {}
    for policy in policies:
        found[policy] = new_imputers(network, policy).to(network.device)
        found[policy].fit(embeddings)
        found[policy].eval()
    return found
