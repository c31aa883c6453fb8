"""OGM-GE: the encoder that is ahead learns slower, and every encoder's gradient gets noise."""

from __future__ import annotations

import torch
from torch import Tensor

from sightsound.model import ClassifierNetwork
from sightsound.training.balances.base import Heads
from sightsound.types import Batch, Output


class OgmGe(Heads):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    Where a head gives the true classes more probability than the other one, its encoder's gradients are multiplied by
    1 - tanh(ALPHA * ratio) and get noise of their own deviation.
    """

    ALPHA = 0.3

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.certainty: dict[str, float] = {}

    def loss(self, output: Output, batch: Batch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """As every balance; remembers how certain each head is."""
        for m, scores in output.scores.items():
            sure = scores.detach().softmax(1).gather(1, target[:, None])[:, 0]
            rows = batch.present[m]
            self.certainty[m] = float(torch.where(rows, sure, 0).sum() / rows.sum().clamp_min(1))
        return super().loss(output, batch, target, weight)

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Scales the gradients of the encoder that is ahead."""
        for m, certainty in self.certainty.items():
            others = [value for other, value in self.certainty.items() if other != m]
            ratio = certainty / max(sum(others) / max(len(others), 1), 1e-6)
            if not others or ratio <= 1:
                continue
            factor = 1 - torch.tanh(torch.tensor(self.ALPHA * ratio)).item()
            for parameter in network.encoders[m].parameters():
                if parameter.grad is not None and parameter.dim() > 1:
                    noise = torch.randn_like(parameter.grad) * parameter.grad.std()
                    parameter.grad.mul_(factor).add_(noise)
