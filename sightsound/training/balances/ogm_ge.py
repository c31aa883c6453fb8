"""OGM-GE: slows the encoder that is ahead, and adds noise to every encoder's gradient."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.balances.base import FusedOnly
from sightsound.types import FeatureBatch, Output


class OgmGe(FusedOnly):
    """On-the-fly gradient modulation with generalisation enhancement (Peng et al., CVPR 2022).

    Where a modality gives the true classes more probability than the other, by a ratio above 1, the gradients of its
    encoder are multiplied by 1 - tanh(ALPHA * ratio). Then those of every encoder, ahead or not, get Gaussian noise
    of mean 0 and of the standard deviation that they had before.

    Deviations from the paper: a modality's probabilities are those of its own head, which reads its embeddings without
    training the encoder, where the paper splits the linear layer of the fused answer. The ratio is taken over the rows
    that have both modalities; a batch without any is not modulated. Of three modalities or more, each is compared with
    the mean of the others. The covariance of the noise is the variance of each weight tensor's gradient, as in the
    authors' code, which takes it of convolutions alone; biases and norms get neither.
    """

    ALPHA = 0.3

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.certainty: dict[str, float] = {}  # sums of the true classes' probabilities in this step

    def loss(self, output: Output, batch: FeatureBatch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """As every balance; remembers how certain each head is."""
        complete = torch.stack([batch.present[m] for m in output.unimodal_logits]).all(0)
        for m, scores in output.unimodal_logits.items():
            sure = scores.detach().softmax(1).gather(1, target[:, None])[:, 0]
            self.certainty[m] = self.certainty.get(m, 0.0) + float(torch.where(complete, weight * sure, 0).sum())
        return super().loss(output, batch, target, weight)

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Scales the gradients of the encoder that is ahead; adds noise to those of all."""
        certainty, self.certainty = self.certainty, {}
        if len(certainty) < 2 or min(certainty.values()) <= 0:
            return
        for m, own in certainty.items():
            others = [value for other, value in certainty.items() if other != m]
            ratio = own * len(others) / sum(others)
            factor = 1 - math.tanh(self.ALPHA * ratio) if ratio > 1 else 1.0
            for parameter in network.encoders[m].parameters():
                if parameter.grad is not None and parameter.dim() > 1:
                    noise = torch.randn_like(parameter.grad) * parameter.grad.std(correction=0)
                    parameter.grad.mul_(factor).add_(noise)
