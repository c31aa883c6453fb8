"""The base class of balances, and the three that only decide which losses reach the encoders.

A balance combines the losses of the fused answer and of each head into one, and is called after each backward pass and
each epoch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightsound.network.classifier import EVERY_LOSS, ClassifierNetwork, GradientFlow
from sightsound.network.losses import FUSED, losses, rows_with_loss
from sightsound.types import FeatureBatch, Output


class Auxiliary:
    """Weights all losses equally: the fused loss trains the encoders too, and each head's loss keeps its own trained.

    Peng et al. (2022) name the problem that this addresses.

    Args:
        network: the network at the start of the phase.
    """

    needs_unimodal_training = False  # whether each modality is trained unimodally before
    flow = EVERY_LOSS  # which losses reach the encoders
    two_modalities = False  # whether it is defined for exactly two modalities only
    shares_head = False  # whether all modalities have one head, from the first step on

    def __init__(self, network: ClassifierNetwork) -> None:
        self.weights = dict.fromkeys((FUSED, *network.modalities), 1.0)
        self.row_loss = network.row_loss

    def loss(self, output: Output, batch: FeatureBatch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """A scalar to minimise; `batch` holds features, `weight` (B,) is of each row."""
        each = losses(self.row_loss, output, batch.present, target, weight)
        self.after_losses(each, rows_with_loss(output, batch.present), weight)
        return torch.stack([self.weights[name] * loss for name, loss in each.items()]).sum()

    def after_losses(self, each: dict[str, Tensor], rows: dict[str, Tensor], weight: Tensor | float) -> None:
        """Gets the losses of a batch by name, scalars, as `RowMeans.add` takes them."""

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Is called once the gradients are computed, and may change them."""

    def after_epoch(self, val: Mapping[str, float]) -> None:
        """Is called at the end of an epoch with the validation rows' mean losses by name."""

    def state(self) -> dict[str, object]:
        """Returns what a resumed training needs."""
        return {"weights": self.weights}

    def restore(self, state: dict[str, object]) -> None:
        """Restores what `state` returned."""
        self.__dict__.update(state)


class Detached(Auxiliary):
    """The default: its own head's loss alone trains each encoder, the fused loss the strategy, at the same time.

    So each modality is trained as if the other were absent, and its unimodal predictions are as good. Fan et al.
    (detached multimodal learning, 2024) likewise keep the modalities' losses out of each other's encoders.
    """

    flow = GradientFlow(fused=False)


class FusedOnly(Auxiliary):
    """No balance: the fused loss alone trains the encoders, as in most of the literature.

    The heads are trained on detached embeddings.
    """

    flow = GradientFlow(unimodal=False)
