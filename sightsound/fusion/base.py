"""What every fusion strategy is. The network calls `exchange` after each stage and `combine` at the end.

A feature strategy reads the embeddings in `combine`, a decision strategy the calibrated logits; a hierarchical one
overrides `exchange` as well. A row with a single modality is answered by that modality's own head, whatever the
strategy says of it: there is nothing to fuse then, and the answer is as good as that of a model with one modality
alone.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

Tensors = Mapping[str, Tensor]
HIDDEN = 64  # of the dense layer before the classes, as in the classic concatenation
ABSENT = -1e4  # far below any logit, and finite: a row without anything gives no NaN


class Combined(NamedTuple):
    """A strategy's answer: logits (B, C), and per modality its weight (B,), or None where there is no such notion."""

    logits: Tensor
    weights: dict[str, Tensor] | None


class Fusion(nn.Module):
    """Base class; as it stands it exchanges nothing and averages the logits of the modalities that are there.

    Args:
        embedding_sizes: per modality, D.
        stage_channels: per modality, the channels of each stage's map.
        classes: C.
    """

    # Whether its parameters are fitted on validation rows once the encoders are trained (`training.held_out`), and not
    # with them: a strategy that reads class logits learns whom to trust, which logits of training rows do not tell.
    fitted_held_out = False
    # Whether its wiring is searched on trained encoders before it is trained (`training.fusion_search`).
    searched = False
    joins: str | None = None  # the wiring, where it is searched

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__()
        self.modalities = sorted(embedding_sizes)  # so that the order of a dict never matters

    def rewire(self, joins: str) -> None:
        """Takes another wiring, with fresh weights, where it is searched. Raises ConfigError if it is none."""
        raise NotImplementedError

    def rate_of(self, parameter: str) -> float:
        """The learning rate of one of its parameters, by name, as a multiple of that of the training."""
        return 1.0

    def exchange(
        self, stage: int, maps: Tensors, present: Tensors, shared: Tensor | None = None
    ) -> tuple[Tensors, Tensor | None]:
        """After a stage: per modality (B, channels, ...) -> the same shapes. An absent row's map must not be read.

        `shared` is what the strategy returned beside the maps after the stage before, None at first.
        """
        return maps, None

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """At the end: per modality embeddings (B, D), own logits (B, C) and presence (B,) -> `Combined`.

        Embeddings (after the exchange) and logits (of each modality's head, without it; divided by its temperature,
        once that is fitted) of an absent modality are zeros; `shared` is what the last `exchange` returned.
        """
        shares = self.shares(present)
        return Combined(sum_of(shares[m][:, None] * logits[m] for m in self.modalities), shares)

    def softmax(self, values: Tensors, present: Tensors) -> dict[str, Tensor]:
        """Per modality (B, ...) -> softmax over the modalities that are there; 0 for the others."""
        stacked = torch.stack([torch.where(like(present[m], values[m]), values[m], ABSENT) for m in self.modalities])
        weights = stacked.softmax(dim=0).unbind()
        return {m: torch.where(like(present[m], w), w, 0) for m, w in zip(self.modalities, weights, strict=True)}

    def shares(self, present: Tensors) -> dict[str, Tensor]:
        """The same weight for each modality that is there: per modality (B,), summing to 1 where any is."""
        count = sum_of(present[m].float() for m in self.modalities).clamp_min(1)
        return {m: present[m] / count for m in self.modalities}


def like(flags: Tensor, values: Tensor) -> Tensor:
    """(B,) with as many axes as the values."""
    return flags.reshape(-1, *[1] * (values.dim() - 1))


def sum_of(tensors: Iterable[Tensor]) -> Tensor:
    """Sum of tensors of one shape."""
    return torch.stack(list(tensors)).sum(0)


def dense(size: int, classes: int) -> nn.Sequential:
    """(B, size) -> dense 64, ReLU -> (B, C)."""
    return nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, classes))
