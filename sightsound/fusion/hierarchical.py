"""Hierarchical fusion (intermediate fusion): the modalities exchange information between encoder stages.

`exchange` works on maps of its own; beside them the network computes the unimodal maps, so that no exchange can make a
unimodal prediction worse. The cross-modal branches are zero-initialised, so that training begins as that of plain
concatenation; random branches would drown the encoders' signal.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sightsound.fusion.base import Channels, Combined, Fusion, Sizes, Tensors, check_heads, dense, sum_of
from sightsound.types import Count, Few, Share

WIDTH = 64  # of the vectors through which modalities exchange
HEADS = 4  # number of attention heads
EXCHANGE_RATE = 0.1  # multiple of the learning rate, for the cross-modal branches


class Exchanging(Fusion):
    """Base class: the fused embeddings concatenated, dense 64, dense C.

    The papers take the mean of one classifier for each modality; this one can represent that mean, and interactions
    of the embeddings too.
    """

    def __init__(
        self,
        embedding_sizes: Sizes,
        stage_channels: Channels,
        classes: int,
        *,
        exchange_rate: Share = EXCHANGE_RATE,
    ):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.exchange_rate = exchange_rate
        self.stages = range(len(next(iter(stage_channels.values()))))
        self.classify = dense(sum(embedding_sizes.values()), classes)

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality embeddings (B, D) -> logits (B, C); no weights."""
        return Combined(self.classify(torch.cat([embeddings[m] for m in self.modalities], dim=1)), None)

    def rate_of(self, parameter: str) -> float:
        """Gives the cross-modal branches a low learning rate: at the full one they would drown the encoders' signal."""
        return 1.0 if ".classify." in f".{parameter}" else self.exchange_rate

    def company(self, modality: str, present: Tensors) -> Tensor:
        """Returns (B,) whether any other modality is present."""
        return sum_of(present[m].long() for m in self.modalities) - present[modality].long() > 0


class Mmtm(Exchanging):
    """Squeeze-and-excitation across modalities (Multimodal Transfer Module, Joze et al., CVPR 2020).

    After each stage every map is squeezed to its channel means; a joint dense layer of all of them then gives each map
    one gate for each channel, 2 * sigmoid. Where no other modality is present, a map is unchanged.
    """

    def __init__(
        self,
        embedding_sizes: Sizes,
        stage_channels: Channels,
        classes: int,
        *,
        reduction: Count = 4,
        exchange_rate: Share = EXCHANGE_RATE,
    ):
        super().__init__(embedding_sizes, stage_channels, classes, exchange_rate=exchange_rate)
        total = [sum(stage_channels[m][k] for m in self.modalities) for k in self.stages]
        self.squeeze = nn.ModuleList(nn.Linear(size, max(size // reduction, 1)) for size in total)
        self.excite = PerStage(
            {
                m: [zero_init(nn.Linear(max(total[k] // reduction, 1), stage_channels[m][k])) for k in self.stages]
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

    Its state after each stage is the sum, with trained weights, of dense layers of its previous state and of every
    modality's channel means; it reads from the encoders and returns nothing to them. Deviations from the paper: the
    layer and ReLU stand before the sum and not after it, since the encoders' maps have other sizes than the state; and
    it reads channel means where the paper reads whole maps.
    """

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int, *, width: Count = WIDTH):
        super().__init__(embedding_sizes, stage_channels, classes)
        stages = range(len(next(iter(stage_channels.values()))))
        self.take = PerStage({m: [nn.Linear(stage_channels[m][k], width) for k in stages] for m in self.modalities})
        self.weight = nn.ParameterDict({m: nn.Parameter(torch.ones(len(stages))) for m in self.modalities})
        self.own_weight = nn.Parameter(torch.ones(len(stages)))
        self.central = nn.ModuleList(nn.Linear(width, width) for _ in stages[1:])
        self.last = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], width) for m in self.modalities})
        self.classify = nn.Sequential(nn.ReLU(), nn.Linear(width, classes))

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Returns the maps unchanged; shared (B, width) is the central state."""
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

    After a stage the tokens attend to the places of each modality's map; every place of every map then attends to
    their mean over the modalities. As in the paper, nothing is exchanged after the first stage.
    """

    def __init__(
        self,
        embedding_sizes: Sizes,
        stage_channels: Channels,
        classes: int,
        *,
        tokens: Few = 4,
        width: Count = WIDTH,
        heads: Few = HEADS,
        exchange_rate: Share = EXCHANGE_RATE,
    ):
        super().__init__(embedding_sizes, stage_channels, classes, exchange_rate=exchange_rate)
        self.tokens = nn.Parameter(torch.randn(1, tokens, width) * 0.02)
        channels = {m: stage_channels[m][1:] for m in self.modalities}
        self.read = PerStage({m: [Attend(width, size, width, heads) for size in channels[m]] for m in self.modalities})
        self.write = PerStage({m: [Attend(size, width, width, heads) for size in channels[m]] for m in self.modalities})

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Per modality (B, channels, ...) -> the same; shared (B, tokens, width) are the tokens."""
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

    It does so after the last two stages. Where no other modality is present, a map is unchanged.
    """

    def __init__(
        self,
        embedding_sizes: Sizes,
        stage_channels: Channels,
        classes: int,
        *,
        width: Count = WIDTH,
        heads: Few = HEADS,
        exchange_rate: Share = EXCHANGE_RATE,
    ):
        super().__init__(embedding_sizes, stage_channels, classes, exchange_rate=exchange_rate)
        self.attend = PerStage(
            {
                f"{m} {other}": [
                    Attend(stage_channels[m][k], stage_channels[other][k], width, heads) for k in self.stages[1:]
                ]
                for m in self.modalities
                for other in self.modalities
                if m != other
            }
        )

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Per modality (B, channels, ...) -> the same, with its attention to the others added."""
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

    def __init__(self, asking: int, asked: int, width: int, heads: int) -> None:
        super().__init__()
        check_heads(width, heads)
        self.into, self.norm, self.asked_norm = nn.Linear(asking, width), nn.LayerNorm(asking), nn.LayerNorm(asked)
        self.attention = nn.MultiheadAttention(width, heads, kdim=asked, vdim=asked, batch_first=True)
        self.out = zero_init(nn.Linear(width, asking))

    def forward(self, queries: Tensor, places: Tensor) -> Tensor:
        """(B, P, asking), (B, Q, asked) -> (B, P, asking)."""
        places = self.asked_norm(places)
        # with `need_weights` it multiplies the matrices one by one: the backward of the fused kernel is many times
        # slower on CPUs, and the switch that forbids it (`sdpa_kernel`) acts on all threads
        found, _ = self.attention(self.into(self.norm(queries)), places, places, average_attn_weights=False)
        added: Tensor = self.out(found)
        return added


def zero_init(layer: nn.Linear) -> nn.Linear:
    """Sets weight and bias to zero, so that the layer gives zeros until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class PerStage(nn.ModuleDict):
    """Modules by name and stage."""

    def __init__(self, modules: Mapping[str, Sequence[nn.Module]]) -> None:
        super().__init__({name: nn.ModuleList(of_stages) for name, of_stages in modules.items()})

    def at(self, name: str, stage: int) -> nn.Module:
        """Returns the module of a name at a stage."""
        return cast(nn.ModuleList, self[name])[stage]


def channel_means(feature_map: Tensor) -> Tensor:
    """(B, channels, ...) -> (B, channels)."""
    return feature_map.flatten(2).mean(2) if feature_map.dim() > 2 else feature_map


def places_of(feature_map: Tensor) -> Tensor:
    """(B, channels, ...) -> (B, places, channels); one place where the map has no axes after the channels."""
    return feature_map.flatten(2).mT if feature_map.dim() > 2 else feature_map[:, None, :]
