"""Incomplete rows in training: what imputes their missing sense learns anew before each epoch."""

from __future__ import annotations

from typing import cast

from lightning.pytorch import Callback, LightningModule, Trainer

from sightsound.config import Config, filling_policies
from sightsound.data.batches import Rows
from sightsound.missing import filler
from sightsound.model import ClassifierNetwork
from sightsound.training.impute import learnt
from sightsound.training.module import Stage


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
