"""What a training loop minimises and measures, and how the parameters are updated."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightsound.errors import TrainingError
from sightsound.types import Batch

LARGEST_LOSS = 1e6  # training begins near the logarithm of the number of classes


class Optimization(NamedTuple):
    """How the parameters are updated: AdamW under a one-cycle schedule, stepped every batch.

    Attributes:
        trained: groups {"params": [...], "lr": peak of the one-cycle schedule} (Smith & Topin, 2019).
        steps: the steps of all epochs, for the schedule.
        warm_up: share of the steps until the peak.
        weight_decay: the weight decay of AdamW (Loshchilov & Hutter, 2019).
    """

    trained: list[dict[str, Any]]
    steps: int
    warm_up: float
    weight_decay: float

    @property
    def peak(self) -> float:
        """Returns the largest learning rate of all groups."""
        return max((float(group["lr"]) for group in self.trained), default=0.0)

    def optimizer(self, fused: bool) -> torch.optim.AdamW:
        """Builds AdamW, as one fused kernel where possible: several times faster than weight by weight."""
        return torch.optim.AdamW(self.trained, weight_decay=self.weight_decay, fused=fused)

    def schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.OneCycleLR:
        """Builds the schedule: learning rates rise to their peaks and fall to zero, step by step."""
        # a warm-up of exactly one step is a division by zero in torch
        share = self.warm_up * (1.01 if math.isclose(self.warm_up * self.steps, 1) else 1)
        peaks = [group["lr"] for group in self.trained]
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, self.steps, pct_start=share)


class Objective:
    """What a loop minimises and measures; this one measures nothing but its loss.

    Args:
        network: the whole network; parameters that are not trained must be frozen already.
        optimization: which parameters are updated, and how.
    """

    def __init__(self, network: nn.Module, optimization: Optimization) -> None:
        self.network, self.optimization = network, optimization

    def begin_epoch(self, epoch: int) -> None:
        """Is called before the first step of an epoch, counted from 0."""

    def begin_step(self, epoch: int, step: int) -> None:
        """Is called before each step; draws must depend on these numbers alone, so that a resumed run repeats them."""

    def loss(self, batch: Batch) -> Tensor:
        """Batch -> scalar to minimise."""
        raise NotImplementedError

    def after_backward(self) -> None:
        """Is called once the gradients are computed, and may change them."""

    def validate(self, batch: Batch) -> None:
        """Collects what is measured; called in eval mode, without gradients."""

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Returns the numbers of the epoch, after all validation batches."""
        return {}

    def state(self) -> dict[str, Any]:
        """Returns what a resumed training needs beside weights and optimizer: tensors and plain types."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores what `state` returned."""


def check_losses(losses: list[Tensor], epoch: int, learning_rate: float, kind: str = "training") -> None:
    """Checks the losses of an epoch at once, since each check waits for the device.

    Args:
        losses: scalars, one a step.
        epoch: the epoch's number, from 0.
        learning_rate: the learning rate of the training, for the message.
        kind: training or validation.

    Raises:
        TrainingError: a loss is not finite, or too large to recover from.
    """
    wrong = (~(torch.stack([loss.float() for loss in losses]).abs() < LARGEST_LOSS)).nonzero()
    if len(wrong):
        step = int(wrong[0])
        raise TrainingError(
            f"The {kind} loss is {float(losses[step]):g} in epoch {epoch + 1}"
            f"{f', step {step + 1} of it' if len(losses) > 1 else ''}: the training has diverged, and nothing was "
            f"saved. Begin anew with another --out and a lower --learning-rate (it is {learning_rate:g} at its peak; "
            "the default is a good one), and if that does not help, with --precision 32-true."
        )
