"""The base class of fusion strategies. The network calls `exchange` after each stage and `combine` at the end.

A feature strategy reads the embeddings in `combine`, a decision strategy the calibrated logits; a hierarchical one
overrides `exchange` as well. A row with a single modality gets its unimodal prediction, whatever the strategy
returns: there is nothing to fuse, and the answer is as good as that of a unimodal model.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightsound.errors import ConfigError

Tensors = Mapping[str, Tensor]
Sizes = Mapping[str, int]
Channels = Mapping[str, list[int]]
HIDDEN = 64  # width of the dense layer before the classes, as in the classic concatenation
ABSENT = -1e4  # far below any logit, and finite: a row without any modality gives no NaN


class Combined(NamedTuple):
    """A strategy's output: logits (B, C), and the weight (B,) of each modality, or None where it has no weights."""

    logits: Tensor
    weights: dict[str, Tensor] | None


class Fusion(nn.Module):
    """Base class, which exchanges nothing and averages the logits of the modalities that are present.

    A strategy's own options are keyword-only parameters of its constructor, each with a type and a default: that of
    `*, width: int = 64` is typed as --fusion.width 128.

    Args:
        embedding_sizes: D of each modality.
        stage_channels: per modality, the channels of each stage's map.
        classes: C.
    """

    # Whether its parameters are fitted on validation rows once the encoders are trained (`training.held_out`), and not
    # with them: logits of training rows do not show how reliable each modality is.
    fitted_held_out = False
    # Whether its wiring is searched on trained encoders before it is trained (`training.fusion_search`).
    searched = False
    joins: str | None = None  # the wiring, where it is searched
    options: Mapping[str, Any] = {}  # those that it was built with, by name

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
        super().__init__()
        self.modalities = sorted(embedding_sizes)  # so that the order of a dict never matters

    def rewire(self, joins: str) -> None:
        """Takes another wiring, with fresh weights, where it is searched. Raises ConfigError for an invalid one."""
        raise NotImplementedError

    def rate_of(self, parameter: str) -> float:
        """Returns the learning rate of a parameter, by name, as a multiple of the configured one."""
        return 1.0

    @classmethod
    def exchanges(cls) -> bool:
        """Returns whether the encoders exchange information between their stages, so that they run in every epoch."""
        return cls.exchange is not Fusion.exchange

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """Exchanges after a stage: per modality (B, channels, ...) -> the same shapes. Absent maps must not be read.

        `shared` is what the strategy returned beside the maps after the stage before, None at first.
        """
        return maps, None

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Combines at the end: per modality embeddings (B, D), logits (B, C) and presence (B,) -> `Combined`.

        The embeddings are those after the exchange, the logits are unimodal, divided by their temperature once that is
        fitted; both are zeros where a modality is absent. `shared` is what the last `exchange` returned.
        """
        shares = self.shares(present)
        return Combined(sum_of(shares[m][:, None] * logits[m] for m in self.modalities), shares)

    def softmax(self, values: Tensors, present: Tensors) -> dict[str, Tensor]:
        """Per modality (B, ...) -> softmax over the modalities that are present; 0 for the others."""
        stacked = torch.stack([torch.where(like(present[m], values[m]), values[m], ABSENT) for m in self.modalities])
        weights = stacked.softmax(dim=0).unbind()
        return {m: torch.where(like(present[m], w), w, 0) for m, w in zip(self.modalities, weights, strict=True)}

    def shares(self, present: Tensors) -> dict[str, Tensor]:
        """Gives each present modality the same weight: per modality (B,), summing to 1 where any is present."""
        count = sum_of(present[m].float() for m in self.modalities).clamp_min(1)
        return {m: present[m] / count for m in self.modalities}


def like(flags: Tensor, values: Tensor) -> Tensor:
    """Reshapes flags (B,) to as many axes as the values."""
    return flags.reshape(-1, *[1] * (values.dim() - 1))


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """Sums tensors of one shape."""
    return torch.stack(list(tensors)).sum(0)


def dense(size: int, classes: int, width: int = HIDDEN) -> nn.Sequential:
    """(B, size) -> dense `width`, ReLU -> (B, C)."""
    return nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Linear(width, classes))


def check_heads(width: int, heads: int) -> None:
    """Raises ConfigError where attention of this width cannot be divided into these heads."""
    if width % heads:
        raise ConfigError(f"width is {width} and heads is {heads}; the width must be a multiple of the heads.")
