"""Hierarchical fusion whose wiring is searched: which stages are joined, and how (after MFAS, Perez-Rua et al., 2019).

A wiring is a text with one word for each cell, in order. "2-1-relu" joins stage 2 of the first modality (by name:
audio) with stage 1 of the second and the cell before. `training.fusion_search` finds one; until then stages of the
same number are joined.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sightsound.errors import ConfigError
from sightsound.fusion.base import Channels, Combined, Fusion, Sizes, Tensors, dense
from sightsound.fusion.hierarchical import WIDTH, channel_means, zero_init
from sightsound.types import Count

MOST_CELLS = 64
ACTIVATIONS = {"relu": torch.relu, "sigmoid": torch.sigmoid}


class Search(Fusion):
    """Cells that each read one stage of every modality, as channel means, and the cell before; beside `concat`.

    It reads from the encoders and returns nothing to them. The paper classifies the last cell's output; here its logits
    are added to those of the concatenated embeddings, since channel means hold no positions. They are zero-initialised:
    cells on untrained encoders would drown the signal of the embeddings.
    """

    searched = True

    def __init__(
        self,
        embedding_sizes: Sizes,
        stage_channels: Channels,
        classes: int,
        *,
        joins: str | None = None,
        width: Count = WIDTH,
    ):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.width = width
        self.channels = {m: list(stage_channels[m]) for m in self.modalities}
        self.classes = classes
        self.beside = dense(sum(embedding_sizes.values()), classes)
        self.stages = len(self.channels[self.modalities[0]])
        same = " ".join("-".join([str(k)] * len(self.modalities)) + "-relu" for k in range(self.stages))
        self.rewire(same if joins is None else joins)

    def rewire(self, joins: str) -> None:
        """Takes another wiring, with fresh weights. Raises ConfigError for an invalid one."""
        self.cells = parse(joins, len(self.modalities), self.stages)
        self.joins = joins
        self.options = {**self.options, "joins": joins}
        layers, before = [], 0
        for stages, _ in self.cells:
            size = sum(self.channels[m][k] for m, k in zip(self.modalities, stages, strict=True))
            layers.append(nn.Linear(size + before, self.width))
            before = self.width
        self.join = nn.ModuleList(layers)
        self.classify = zero_init(nn.Linear(self.width, self.classes))

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Returns the maps unchanged; shared (B, all channels so far) are the channel means, stage by stage."""
        means = [torch.where(present[m][:, None], channel_means(maps[m]).float(), 0) for m in self.modalities]
        return maps, torch.cat(means if shared is None else [shared, *means], dim=1)

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Channel means of all stages, and embeddings (B, D) unless there are none -> logits (B, C); no weights."""
        if shared is None:
            raise ValueError("`exchange` of every stage comes before `combine`")
        sizes = [self.channels[m][k] for k in range(self.stages) for m in self.modalities]
        means = shared.split(sizes, dim=1)
        read: list[Tensor] = []
        for (stages, activation), layer in zip(self.cells, self.join, strict=True):
            joined = [means[k * len(self.modalities) + i] for i, k in enumerate(stages)]
            read = [ACTIVATIONS[activation](layer(torch.cat([*joined, *read], dim=1)))]
        answer = self.classify(read[0])
        if embeddings:
            answer = answer + self.beside(torch.cat([embeddings[m] for m in self.modalities], dim=1))
        return Combined(answer, None)


def parse(joins: str, modalities: int, stages: int) -> list[tuple[tuple[int, ...], str]]:
    """Returns the cells of a wiring: the stage of each modality, and the activation. Raises ConfigError."""
    cells = []
    words = joins.split()
    if len(words) > MOST_CELLS:
        raise ConfigError(f"joins: there are {len(words):,} cells in it; at most {MOST_CELLS} are taken.")
    for word in words:
        *numbers, activation = word.split("-")
        if (
            len(numbers) != modalities
            or activation not in ACTIVATIONS
            or any(number not in map(str, range(stages)) for number in numbers)
        ):
            raise ConfigError(
                f"joins: {word!r:.100} is no cell; one is the stage of each modality, 0 to {stages - 1}, and "
                f"{' or '.join(ACTIVATIONS)}, such as {'-'.join(['2'] * modalities)}-relu."
            )
        cells.append((tuple(map(int, numbers)), activation))
    if not cells:
        raise ConfigError("joins: there is no cell in it.")
    return cells
