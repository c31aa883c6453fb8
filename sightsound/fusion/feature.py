"""Feature fusion: joins the embeddings, per modality (B, D) -> logits (B, C)."""

from collections.abc import Mapping

import torch
from torch import nn

from sightsound.fusion.base import Combined, Fusion, Tensors, sum_of


class Concat(Fusion):
    """Embeddings side by side, dense 64, dense C. An absent modality's embedding is zeros."""

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.classify = nn.Sequential(nn.Linear(sum(embedding_sizes.values()), 64), nn.ReLU(), nn.Linear(64, classes))

    def combine(self, embeddings: Tensors, scores: Tensors, present: Tensors) -> Combined:
        """Per modality (B, D) -> logits (B, C); no weights."""
        return Combined(self.classify(torch.cat([embeddings[m] for m in self.modalities], dim=1)), None)


class Average(Fusion):
    """Each embedding projected to a common size, then the mean of those that are there, ReLU, dense C."""

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        common = max(embedding_sizes.values())
        self.project = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], common) for m in self.modalities})
        self.classify = nn.Sequential(nn.ReLU(), nn.Linear(common, classes))

    def combine(self, embeddings: Tensors, scores: Tensors, present: Tensors) -> Combined:
        """Per modality (B, D) -> logits (B, C); weights are the shares in the mean."""
        shares = self.shares(present)
        mean = sum_of(shares[m][:, None] * self.project[m](embeddings[m]) for m in self.modalities)
        return Combined(self.classify(mean), shares)
