"""MLA: trains the modalities in turns with one shared head, whose steps avoid directions the other modality uses."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from sightsound.encoders.base import Encoder
from sightsound.errors import ConfigError
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import FUSED, losses
from sightsound.training.balances.base import Detached
from sightsound.types import FeatureBatch, Output


class Mla(Detached):
    """Multimodal learning with alternating unimodal adaptation (Zhang et al., CVPR 2024).

    Each step trains one encoder and the head that all share by the cross-entropy of that modality. The gradient of the
    head's weight (C, D) is multiplied by a projection P (D, D), which begins as the identity and after each step loses
    the direction of the batch's mean embedding h by recursive least squares: P -= (P h)(P h)' / (ALPHA + h' P h).

    Deviations from the paper: a batch trains one modality and the next batch the other, where the authors' code takes
    a step for each on every batch, so that each encoder sees half of the batches. The projection is made of the steps
    before alone; the code includes the current batch first, divides elementwise by a matrix in place of the number
    h' P h, makes ALPHA smaller in the course of an epoch, and divides P by its norm after each step. The fusion by
    entropy at test time is omitted: `--fusion` selects the strategy, which is trained on the fused loss at the same
    time, without reaching the encoders; `confidence` is nearest to the paper's. The optimizer is AdamW and not SGD with
    momentum: it scales each element of the projected gradient separately, so that a step is not exactly orthogonal to
    the protected directions.
    """

    shares_head = True
    ALPHA = 0.1

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        sizes = {m: cast(Encoder, network.encoders[m]).embedding_size for m in network.modalities}
        if len(set(sizes.values())) > 1:
            found = ", ".join(f"{m} has {size}" for m, size in sizes.items())
            raise ConfigError(
                f"--balance mla has one head for all modalities, whose embeddings must be of one size; {found}. Type "
                "--balance detached, or choose encoders that give as many numbers."
            )
        self.modalities = list(network.modalities)
        self.turn = 0
        self.projection = torch.eye(next(iter(sizes.values())))
        self.mean: Tensor | None = None  # (D,) the mean embedding of this step's batch

    @property
    def active(self) -> str:
        """Names the modality whose turn it is."""
        return self.modalities[self.turn % len(self.modalities)]

    def loss(self, output: Output, batch: FeatureBatch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """The loss of the modality whose turn it is, and that of the strategy."""
        rows = batch.present[self.active]
        if rows.any():
            self.mean = output.embeddings[self.active][rows].detach().mean(0)
        each = losses(self.row_loss, output, batch.present, target, weight)
        return each[FUSED] + each[self.active]

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Projects the head's gradient, gives all heads the same step, and the other encoders none.

        Their gradients are None and not zeros, with which momentum and weight decay would still move them.
        """
        active, mean = cast(nn.Linear, network.heads[self.active]), self.mean
        if active.weight.grad is not None and mean is not None:
            self.projection = self.projection.to(mean.device)
            active.weight.grad = active.weight.grad @ self.projection
            self.projection = without_direction(self.projection, mean, self.ALPHA)
        first = network.heads[self.modalities[0]]
        for m in self.modalities:
            heads = zip(*(head.parameters() for head in (network.heads[m], first, active)), strict=True)
            for own, shared, stepped in heads:
                own.data.copy_(shared.data)
                own.grad = None if stepped.grad is None else stepped.grad.clone()
            if m != self.active:
                network.encoders[m].zero_grad(set_to_none=True)
        self.turn, self.mean = self.turn + 1, None

    def state(self) -> dict[str, object]:
        """Returns whose turn it is, and the projection."""
        return {**super().state(), "turn": self.turn, "projection": self.projection}


def without_direction(projection: Tensor, direction: Tensor, alpha: float) -> Tensor:
    """Removes part of a direction (D,) from symmetric P (D, D): a step of recursive least squares."""
    moved = projection @ direction
    return projection - torch.outer(moved, moved) / (alpha + direction @ moved)
