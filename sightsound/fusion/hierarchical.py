"""Hierarchical fusion: the modalities exchange information between encoder stages.

The maps that `exchange` is given are those of the exchange alone; beside them the network keeps each modality's own,
so that nothing here can make one modality worse when it is alone. What is exchanged begins at nothing, so that training
begins as that of plain concatenation; at random it would drown what the encoders have to say.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sightsound.fusion.base import Combined, Fusion, Tensors, dense, sum_of

WIDTH = 64  # of the vectors in which modalities meet
HEADS = 4  # of attention
EXCHANGE_RATE = 0.1  # of the learning rate, for what encoders exchange


class Exchanging(Fusion):
    """Base class: the embeddings after the exchange side by side, dense 64, dense C.

    The papers take the mean of one classifier for each modality; this can do all that the mean can, and sees what only
    both embeddings together tell.
    """

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.stages = range(len(next(iter(stage_channels.values()))))
        self.classify = dense(sum(embedding_sizes.values()), classes)

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality embeddings (B, D) -> logits (B, C); no weights."""
        return Combined(self.classify(torch.cat([embeddings[m] for m in self.modalities], dim=1)), None)

    def rate_of(self, parameter: str) -> float:
        """What encoders exchange moves slowly: faster, it would drown what they have to say."""
        return 1.0 if ".classify." in f".{parameter}" else EXCHANGE_RATE

    def company(self, modality: str, present: Tensors) -> Tensor:
        """(B,) whether any other modality is there."""
        return sum_of(present[m].long() for m in self.modalities) - present[modality].long() > 0


class Mmtm(Exchanging):
    """Squeeze-and-excitation across modalities (Multimodal Transfer Module, Joze et al., CVPR 2020).

    After each stage every map is squeezed to its channel means; a joint dense layer of all of them then gives each map
    one gate for each channel, 2 * sigmoid. Where no other modality is there, a map stays as it is.
    """

    REDUCTION = 4  # of the joint layer, as in the paper

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        total = [sum(stage_channels[m][k] for m in self.modalities) for k in self.stages]
        self.squeeze = nn.ModuleList(nn.Linear(size, max(size // self.REDUCTION, 1)) for size in total)
        self.excite = PerStage(
            {
                m: [zero_init(nn.Linear(max(total[k] // self.REDUCTION, 1), stage_channels[m][k])) for k in self.stages]
                for m in self.modalities
            }
        )

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Per modality (B, channels, ...) -> the same, each channel multiplied by its gate."""
        means = [torch.where(present[m][:, None], channel_means(maps[m]), 0) for m in self.modalities]
        joint = self.squeeze[stage](torch.cat(means, dim=1)).relu()
        gated = {}
        for m in self.modalities:
            gates = 2 * self.excite.at(m, stage)(joint).sigmoid()
            gates = torch.where(self.company(m, present)[:, None], gates, 1)
            gated[m] = maps[m] * gates.reshape(*gates.shape, *[1] * (maps[m].dim() - 2)).to(maps[m].dtype)
        return gated, None


class Central(Fusion):
    """A network of its own between the encoders (CentralNet, Vielzeuf et al., 2018).

    Its state after each stage is the weighted sum of what a dense layer makes of its state before and of every
    modality's channel means, with trained weights; it takes from the encoders and gives them nothing. Two deviations:
    the paper sums first and has its layer and ReLU after the sum, here they stand before it, since the encoders' maps
    have other sizes than the state; and it reads channel means where the paper reads whole maps.
    """

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        stages = range(len(next(iter(stage_channels.values()))))
        self.take = PerStage({m: [nn.Linear(stage_channels[m][k], WIDTH) for k in stages] for m in self.modalities})
        self.weight = nn.ParameterDict({m: nn.Parameter(torch.ones(len(stages))) for m in self.modalities})
        self.own_weight = nn.Parameter(torch.ones(len(stages)))
        self.central = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in stages[1:])
        self.last = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], WIDTH) for m in self.modalities})
        self.classify = nn.Sequential(nn.ReLU(), nn.Linear(WIDTH, classes))

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Leaves the maps; shared (B, WIDTH) is the central state."""
        taken = sum_of(
            present[m][:, None] * self.weight[m][stage] * self.take.at(m, stage)(channel_means(maps[m]))
            for m in self.modalities
        ).relu()
        if shared is None:
            return maps, taken
        return maps, taken + self.own_weight[stage - 1] * self.central[stage - 1](shared).relu()

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """The central state and the embeddings -> logits (B, C); no weights."""
        if shared is None:
            raise ValueError("`exchange` of every stage comes before `combine`")
        ends = sum_of(present[m][:, None] * self.last[m](embeddings[m]) for m in self.modalities)
        return Combined(self.classify(ends + self.own_weight[-1] * shared), None)


class Bottleneck(Exchanging):
    """Attention bottlenecks (Nagrani et al., NeurIPS 2021): all exchange passes through a few tokens.

    After a stage the tokens attend to the places of each modality's map; their mean over the modalities is what every
    place of every map then attends to. As in the paper the first stage is left to each modality.
    """

    TOKENS = 4  # as in the paper

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.tokens = nn.Parameter(torch.randn(1, self.TOKENS, WIDTH) * 0.02)
        channels = {m: stage_channels[m][1:] for m in self.modalities}
        self.read = PerStage({m: [Attend(WIDTH, size) for size in channels[m]] for m in self.modalities})
        self.write = PerStage({m: [Attend(size, WIDTH) for size in channels[m]] for m in self.modalities})

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Per modality (B, channels, ...) -> the same; shared (B, TOKENS, WIDTH) are the tokens."""
        if stage == 0:
            return maps, None
        places = {m: places_of(maps[m]) for m in self.modalities}
        shares = self.shares(present)
        before = self.tokens.expand(len(shares[self.modalities[0]]), -1, -1) if shared is None else shared
        read = {m: self.read.at(m, stage - 1)(before, places[m]) for m in self.modalities}
        tokens = before + sum_of(shares[m][:, None, None] * read[m] for m in self.modalities)
        after = {}
        for m in self.modalities:
            written = self.write.at(m, stage - 1)(places[m], tokens)
            after[m] = maps[m] + torch.where(present[m][:, None, None], written, 0).mT.reshape(maps[m].shape)
        return after, tokens


class CrossAttention(Exchanging):
    """Every place of a map attends to all places of the other modalities' maps (Lu et al., ViLBERT, 2019).

    After the last two stages. Where no other modality is there, a map stays as it is.
    """

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.attend = PerStage(
            {
                f"{m} {other}": [Attend(stage_channels[m][k], stage_channels[other][k]) for k in self.stages[1:]]
                for m in self.modalities
                for other in self.modalities
                if m != other
            }
        )

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Per modality (B, channels, ...) -> the same, with what it found in the others added."""
        if stage == 0:
            return maps, None
        places = {m: places_of(maps[m]) for m in self.modalities}
        after = {}
        for m in self.modalities:
            found = sum_of(
                torch.where(
                    present[other][:, None, None],
                    self.attend.at(f"{m} {other}", stage - 1)(places[m], places[other]),
                    0,
                )
                for other in self.modalities
                if other != m
            )
            after[m] = maps[m] + found.mT.reshape(maps[m].shape)
        return after, None


class Attend(nn.Module):
    """Attention of queries (B, P, asking) on places (B, Q, asked) -> what to add to the queries (B, P, asking)."""

    def __init__(self, asking: int, asked: int) -> None:
        super().__init__()
        self.into, self.norm, self.asked_norm = nn.Linear(asking, WIDTH), nn.LayerNorm(asking), nn.LayerNorm(asked)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, kdim=asked, vdim=asked, batch_first=True)
        self.out = zero_init(nn.Linear(WIDTH, asking))

    def forward(self, queries: Tensor, places: Tensor) -> Tensor:
        """(B, P, asking), (B, Q, asked) -> (B, P, asking)."""
        places = self.asked_norm(places)
        # asked for the weights, it multiplies matrices one by one: the fused kernel's backward is many times slower on
        # processors, and the switch that forbids it (`sdpa_kernel`) is one for all threads
        found, _ = self.attention(self.into(self.norm(queries)), places, places, average_attn_weights=False)
        added: Tensor = self.out(found)
        return added


def zero_init(layer: nn.Linear) -> nn.Linear:
    """The layer, giving zeros until it has learnt something."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class PerStage(nn.ModuleDict):
    """Modules by name and stage."""

    def __init__(self, modules: Mapping[str, Sequence[nn.Module]]) -> None:
        super().__init__({name: nn.ModuleList(of_stages) for name, of_stages in modules.items()})

    def at(self, name: str, stage: int) -> nn.Module:
        """One of them."""
        return cast(nn.ModuleList, self[name])[stage]


def channel_means(feature_map: Tensor) -> Tensor:
    """(B, channels, ...) -> (B, channels)."""
    return feature_map.flatten(2).mean(2) if feature_map.dim() > 2 else feature_map


def places_of(feature_map: Tensor) -> Tensor:
    """(B, channels, ...) -> (B, places, channels); one place where the map has no axes after the channels."""
    return feature_map.flatten(2).mT if feature_map.dim() > 2 else feature_map[:, None, :]
