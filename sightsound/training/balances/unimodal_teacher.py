"""Unimodal teachers: each encoder stays close to one that was trained on its modality alone."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from sightsound.encoders.base import Encoder
from sightsound.fusion.base import like
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.balances.base import Auxiliary
from sightsound.types import FeatureBatch, Output


class UnimodalTeacher(Auxiliary):
    """Keeps each encoder close to one that was trained on its modality alone (UMT, Du et al., ICML 2023).

    The mean squared distance of the embeddings is added to the loss.

    Deviations from the paper: the heads' losses are kept beside the fused one; the distance counts once, where the
    paper tunes its weight; and it is that of embeddings without the strategy's exchange.
    """

    needs_unimodal_training = True

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.standardize = copy.deepcopy(network.standardize).eval().requires_grad_(False)
        self.teachers = copy.deepcopy(network.encoders).eval().requires_grad_(False)

    def loss(self, output: Output, batch: FeatureBatch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """The losses, and the distances."""
        loss = super().loss(output, batch, target, weight)
        for m, given in output.embeddings.items():
            rows = batch.present[m][:, None]
            self.teachers.to(given.device)
            self.standardize.to(given.device)
            with torch.no_grad():
                features = torch.where(like(batch.present[m], batch.inputs[m]), batch.inputs[m].float(), 0)
                wanted = cast(Encoder, self.teachers[m])(self.standardize[m](features)).float()
            loss = loss + torch.where(rows, mse_loss(given, wanted, reduction="none"), 0).mean()
        return loss
