"""Hierarchical fusion: modalities exchange information between encoder stages."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from sightsound.fusion.base import Fusion, Tensors, sum_of


class Mmtm(Fusion):
    """Squeeze-and-excitation across modalities (Multimodal Transfer Module, Joze et al., CVPR 2020).

    After each stage every map is squeezed to its channel means; a joint dense layer of all of them then gives each map
    one gate for each channel, 2 * sigmoid. The answer is the mean of the two classifiers' logits, as in the paper.
    Where no other modality is there, a map stays as it is.
    """

    REDUCTION = 4  # of the joint layer, as in the paper

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        stages = range(len(next(iter(stage_channels.values()))))
        total = [sum(stage_channels[m][k] for m in self.modalities) for k in stages]
        self.squeeze = nn.ModuleList(nn.Linear(total[k], max(total[k] // self.REDUCTION, 1)) for k in stages)
        self.excite = nn.ModuleList(
            nn.ModuleDict(
                {m: nn.Linear(max(total[k] // self.REDUCTION, 1), stage_channels[m][k]) for m in self.modalities}
            )
            for k in stages
        )

    def exchange(self, stage: int, maps: Tensors, present: Tensors) -> Tensors:
        """Per modality (B, channels, ...) -> the same, each channel multiplied by its gate."""
        means = [torch.where(present[m][:, None], _channel_means(maps[m]), 0) for m in self.modalities]
        joint = self.squeeze[stage](torch.cat(means, dim=1)).relu()
        count = sum_of(present[m].long() for m in self.modalities)
        gated = {}
        for m in self.modalities:
            company = (count - present[m].long() > 0)[:, None]
            excite: nn.ModuleDict = self.excite[stage]  # type: ignore[assignment]  # ModuleList loses the type
            gate = torch.where(company, 2 * excite[m](joint).sigmoid(), 1)
            gated[m] = maps[m] * gate.reshape(*gate.shape, *[1] * (maps[m].dim() - 2)).to(maps[m].dtype)
        return gated


def _channel_means(feature_map: Tensor) -> Tensor:
    """(B, channels, ...) -> (B, channels)."""
    return feature_map.flatten(2).mean(2) if feature_map.dim() > 2 else feature_map
