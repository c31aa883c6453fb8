"""What a training loop minimises and measures, and how the parameters move."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sightsound.errors import TrainingError
from sightsound.types import Batch

LARGEST_LOSS = 1e6  # the logarithm of the number of classes is where a training begins


class Optimization(NamedTuple):
    """How the parameters move: AdamW under a one-cycle schedule, stepped every batch.

    Attributes:
        trained: in groups {"params": [...], "lr": peak of the one-cycle schedule} (Smith & Topin, 2019).
        steps: in all epochs, for the schedule.
        warm_up: share of the steps until the peak.
        weight_decay: of AdamW (Loshchilov & Hutter, 2019).
    """

    trained: list[dict[str, Any]]
    steps: int
    warm_up: float
    weight_decay: float

    @property
    def peak(self) -> float:
        """The largest learning rate of all groups."""
        return max((float(group["lr"]) for group in self.trained), default=0.0)

    def optimizer(self, fused: bool) -> torch.optim.AdamW:
        """AdamW, fused in one piece where that can be: several times faster than weight by weight."""
        return torch.optim.AdamW(self.trained, weight_decay=self.weight_decay, fused=fused)

    def schedule(self, optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.OneCycleLR:
        """Learning rates rise to their peaks and fall to zero, step by step."""
        # a warm-up of exactly one step is a division by zero in there
        share = self.warm_up * (1.01 if math.isclose(self.warm_up * self.steps, 1) else 1)
        peaks = [group["lr"] for group in self.trained]
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, self.steps, pct_start=share)


class Objective:
    """What a loop minimises and measures; this one measures nothing but its loss.

    Args:
        network: the whole network; parameters that are not trained must be frozen already.
        optimization: which parameters move, and how.
    """

    def __init__(self, network: nn.Module, optimization: Optimization) -> None:
        self.network, self.optimization = network, optimization

    def begin_epoch(self, epoch: int) -> None:
        """Before the first step of an epoch, from 0."""

    def begin_step(self, epoch: int, step: int) -> None:
        """Before each step: what it draws must depend on these numbers alone, so that a resumed run repeats it."""

    def loss(self, batch: Batch) -> Tensor:
        """Batch -> scalar to minimise."""
        raise NotImplementedError

    def after_backward(self) -> None:
        """Gradients are there, and may be changed."""

    def validate(self, batch: Batch) -> None:
        """Collects what is to be measured; in eval mode, without gradients."""

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """The numbers of the epoch, once all validation batches were seen."""
        return {}

    def state(self) -> dict[str, Any]:
        """What a resumed training must know beside weights and optimizer: tensors and plain types."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""


def check_losses(losses: list[Tensor], epoch: int, learning_rate: float, kind: str = "training") -> None:
    """Looks once an epoch, since each look waits for the device.

    Args:
        losses: scalars, one a step.
        epoch: from 0.
        learning_rate: of the training, for the message.
        kind: training or validation.

    Raises:
        TrainingError: one of them is no finite number, or larger than any that can still be learnt from.
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
