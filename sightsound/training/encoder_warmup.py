"""The strategy that trains the encoders first, where only both modalities together determine the class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sightsound.encoders.base import sizes_of
from sightsound.fusion.base import Channels, Combined, Fusion, Sizes, Tensors, dense
from sightsound.hardware import reseed
from sightsound.network.classifier import ClassifierNetwork

SIZE = 256
LEAST_VARIANCE = 1e-8  # untrained encoders put all rows close to one point


class TemporaryFusion(Fusion):
    """Hadamard product of projected embeddings (Kim et al., 2017), layer-normalised, dense 64, dense C.

    Embeddings are standardised within the batch (Ioffe & Szegedy, 2015), over the rows that have them: encoders change
    so fast at the start of training that a scale fitted before gives the same answer for all rows.
    """

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.project = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], SIZE) for m in self.modalities})
        self.classify = nn.Sequential(nn.LayerNorm(SIZE), dense(SIZE, classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights. An absent modality's factor is 1."""
        factors = []
        for m in self.modalities:
            there = present[m][:, None]
            factors.append(torch.where(there, self.project[m](_standardized(embeddings[m], there)), 1))
        return Combined(self.classify(torch.stack(factors).prod(0)), None)


def _standardized(values: Tensor, there: Tensor) -> Tensor:
    """Standardises each dimension of (B, D) over the rows that are `there` (B, 1)."""
    count = there.sum().clamp_min(1)
    centred = torch.where(there, values - torch.where(there, values, 0).sum(0) / count, 0)
    return centred * torch.rsqrt(centred.square().sum(0) / count + LEAST_VARIANCE)


def with_temporary_fusion(network: ClassifierNetwork, seed: int) -> ClassifierNetwork:
    """Returns the network with a fresh `TemporaryFusion` as its strategy; it shares all other parts."""
    reseed(seed)
    return network.with_parts(TemporaryFusion(*sizes_of(dict(network.encoders.items())), network.classes))
