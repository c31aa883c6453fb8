"""What every balance is, and the three that only say which losses reach the encoders.

A balance makes one loss of the fused answer's and each head's, and may look on after each backward pass and epoch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightsound.network.classifier import EVERY_LOSS, ClassifierNetwork, GradientFlow
from sightsound.network.losses import FUSED, losses, rows_with_loss
from sightsound.types import FeatureBatch, Output


class Auxiliary:
    """Every loss counts the same: the fused answer's teaches the encoders too, and each head's keeps its own awake.

    Peng et al. (2022) name the problem that this answers.

    Args:
        network: as it is when the stage begins.
    """

    needs_unimodal_training = False  # whether each modality is trained alone before
    flow = EVERY_LOSS  # which losses reach the encoders
    two_modalities = False  # whether it is defined for two modalities alone
    shares_head = False  # whether all modalities have one head, from the first step on

    def __init__(self, network: ClassifierNetwork) -> None:
        self.weights = dict.fromkeys((FUSED, *network.modalities), 1.0)

    def loss(self, output: Output, batch: FeatureBatch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """A scalar to minimise; `batch` holds features, `weight` (B,) is of each row."""
        each = losses(output, batch.present, target, weight)
        self.after_losses(each, rows_with_loss(output, batch.present), weight)
        return torch.stack([self.weights[name] * loss for name, loss in each.items()]).sum()

    def after_losses(self, each: dict[str, Tensor], rows: dict[str, Tensor], weight: Tensor | float) -> None:
        """The losses of a batch by name, scalars, as `RowMeans.add` takes them."""

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Gradients are there."""

    def after_epoch(self, val: Mapping[str, float]) -> None:
        """An epoch is over; the validation rows' mean losses by name."""

    def state(self) -> dict[str, object]:
        """What a resumed training must know."""
        return {"weights": self.weights}

    def restore(self, state: dict[str, object]) -> None:
        """The inverse of `state`."""
        self.__dict__.update(state)


class Detached(Auxiliary):
    """The default: each encoder learns from its own head alone, the strategy from the fused answer, at the same time.

    So each modality is trained as if the other were not there, and is as good when it is alone. Keeping the modalities'
    losses out of each other's encoders is the answer of Fan et al. (detached multimodal learning, 2024).
    """

    flow = GradientFlow(fused=False)


class FusedOnly(Auxiliary):
    """Nothing is balanced: the fused answer's loss alone trains the encoders, as most of the literature does.

    The heads learn to read what the encoders happen to give.
    """

    flow = GradientFlow(unimodal=False)
