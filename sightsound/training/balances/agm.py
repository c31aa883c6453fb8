"""AGM: slows the encoder whose modality contributes more than it used to, and speeds up the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.balances.base import FusedOnly
from sightsound.types import FeatureBatch, Output


class Agm(FusedOnly):
    """Adaptive gradient modulation (Li et al., ICCV 2023).

    The fused logits f(all) are divided among the modalities by their Shapley values, for two modalities
    (f(all) - f(other) + f(own)) / 2, whose sum is f(all). With s the mean cross-entropy of a modality's part, and r =
    exp(s of the other - s), the gradients of its encoder are multiplied by exp(ALPHA * (t - r)), where t is the same
    ratio of the means of s over all steps before, and 1 in the first step.

    Deviations from the paper: f(own) is the unimodal prediction of the modality's head, as this network answers a row
    that lacks the other, and not the fused network's with zeros for the other. The factor is applied to the encoder's
    gradient and not to that of its part of the logits; for strategies that sum a function of each embedding this is the
    same except for the strategy's own weights, which are not modulated. s is taken over the rows that have both
    modalities; a batch without any is not modulated. t - r is at most 10. The authors' code also clips the gradients,
    which is omitted. The paper tunes ALPHA for each data set; here it is fixed.
    """

    ALPHA = 0.3
    MOST = 10.0

    two_modalities = True

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.sums: dict[str, float] = {}  # sums of this step: cross-entropies of the modalities' parts
        self.rows = 0.0  # the number of rows in these sums
        self.means: dict[str, float] = {}  # means of s over the steps so far
        self.steps = 0

    def loss(self, output: Output, batch: FeatureBatch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """As every balance; remembers the cross-entropy of each modality's part of the fused logits."""
        complete = torch.stack([batch.present[m] for m in output.unimodal_logits]).all(0)
        self.rows += float(torch.where(complete, weight, 0.0).sum())
        for m, part in attribute(output.logits.detach(), output.unimodal_logits).items():
            each = weight * self.row_loss(part, target)
            self.sums[m] = self.sums.get(m, 0.0) + float(torch.where(complete, each, 0).sum())
        return super().loss(output, batch, target, weight)

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Scales the gradients of each encoder."""
        sums, rows, self.sums, self.rows = self.sums, self.rows, {}, 0.0
        if not rows:
            return
        now = {m: total / rows for m, total in sums.items()}
        before = self.means or dict.fromkeys(now, 0.0)
        for m in now:
            change = _ratio(before, m) - _ratio(now, m)
            factor = math.exp(self.ALPHA * min(change, self.MOST))
            for parameter in network.encoders[m].parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(factor)
        self.steps += 1
        self.means = {m: before[m] + (now[m] - before[m]) / self.steps for m in now}

    def state(self) -> dict[str, object]:
        """Returns the means over the steps so far."""
        return {**super().state(), "means": self.means, "steps": self.steps}


def attribute(fused: Tensor, logits: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fused logits (B, C) and each head's -> the part (B, C) of each of two modalities in the fused ones."""
    total = torch.stack(list(logits.values())).sum(0).detach()
    return {m: (fused - (total - own.detach()) + own.detach()) / 2 for m, own in logits.items()}


def _ratio(losses: dict[str, float], modality: str) -> float:
    """Measures how far a modality is ahead: above 1 where its cross-entropy is the lower one."""
    other = sum(loss for m, loss in losses.items() if m != modality)
    return math.exp(min(other - losses[modality], math.log(1e6)))
