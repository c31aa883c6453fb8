"""Learning to fill in a missing sense from complete rows: after training, and during it in every epoch anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from sightsound.answers import BATCH_ROWS
from sightsound.build import new_imputers
from sightsound.config import Config, filling_policies
from sightsound.data.batches import Rows, loader
from sightsound.missing import FEWEST_COMPLETE, Imputers, filler
from sightsound.model import ClassifierNetwork
from sightsound.training.module import Stage

MOST_ROWS = 4096  # complete rows that are learnt from; drawn by chance where there are more


def complete_rows(rows: Rows) -> Tensor:
    """The rows that have every modality, as positions in the table."""
    there = torch.stack([store.entry[rows.rows] > 0 for store in rows.stores.values()]).all(0)
    return rows.rows[there]


def learnt(network: ClassifierNetwork, rows: Rows, policies: Iterable[str]) -> dict[str, Imputers]:
    """For each policy, imputers that have learnt from complete rows; none at all where there are too few.

    Args:
        network: whose embeddings are filled in; left in the mode that it is in.
        rows: of the training split.
        policies: names in IMPUTERS, or dotted paths.
    """
    policies, chosen = list(policies), complete_rows(rows)
    if not policies or len(network.modalities) == 1 or len(chosen) < FEWEST_COMPLETE:
        return {}
    drawn = torch.randperm(len(chosen), generator=torch.Generator().manual_seed(0))[:MOST_ROWS]
    embeddings = _embedded(network, Rows(rows.stores, None, chosen[drawn.sort().values]))
    found = {}
    for policy in policies:
        found[policy] = new_imputers(network, policy).to(next(network.parameters()).device)
        found[policy].fit(embeddings)
        found[policy].eval()
    return found


@torch.no_grad()
def _embedded(network: ClassifierNetwork, rows: Rows) -> dict[str, Tensor]:
    """Own embeddings (n, D) of each modality."""
    device, training = next(network.parameters()).device, network.training
    network.eval()
    parts = []
    for batch in loader(rows, BATCH_ROWS):
        batch = network.featurize(batch._replace(inputs={m: x.to(device) for m, x in batch.inputs.items()}))
        parts.append(network.encode(batch.inputs, {m: p.to(device) for m, p in batch.present.items()}).own)
    network.train(training)
    return {m: torch.cat([part[m] for part in parts]) for m in network.modalities}


class FillIn(Callback):
    """Incomplete rows are trained on with what the policies make of them; these learn anew before each epoch.

    Args:
        network: that is trained.
        config: with the policies.
        rows: of the training split.
    """

    def __init__(self, network: ClassifierNetwork, config: Config, rows: Rows) -> None:
        self.network, self.config, self.rows = network, config, rows

    def on_train_epoch_start(self, trainer: Trainer, stage: LightningModule) -> None:
        """From the embeddings as they are now."""
        policies = filling_policies(self.config)
        known = learnt(self.network, self.rows, set(policies.values()))
        cast(Stage, stage).fill = filler(known, policies)
