"""Decision fusion: joins the modalities' own class logits, per modality (B, C) -> logits (B, C).

The logits are taken as they are: what a strategy learns does not reach the classifiers, each of which learns from its
own loss alone. The loss of the joint answer would let one slack where the other is right, and then it is worse when it
is alone. What a strategy has to learn is fitted on validation rows: a classifier that has memorised its training rows
is sure and right on these, and on no others.
"""

from collections.abc import Mapping
from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsound.fusion.base import ABSENT, Combined, Fusion, Tensors, sum_of

SMALLEST = 1e-30  # keeps the logarithm finite


class Vote(Fusion):
    """The mean of the classifiers' probabilities (linear opinion pool, Stone, 1961). Nothing to train."""

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the mean probability (B, C); weights are the shares in the mean."""
        shares = self.shares(present)
        return Combined(pooled(probabilities(logits), shares), shares)


class Weighted(Fusion):
    """The mean of the probabilities, weighted by a trained number for each modality."""

    fitted_held_out = True

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.weight = nn.ParameterDict({m: nn.Parameter(torch.zeros(())) for m in self.modalities})

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the weighted mean probability (B, C), and the weights."""
        weights = self.softmax({m: self.weight[m].expand(len(present[m])) for m in self.modalities}, present)
        return Combined(pooled(probabilities(logits), weights), weights)


class Product(Fusion):
    """Logarithmic opinion pool (Heskes, 1998): the product of the probabilities, each to a trained power.

    The best answer there is where the modalities have nothing in common but the class: the powers calibrate the
    classifiers, and a trained factor for each class takes out the prior that was multiplied in twice.
    """

    fitted_held_out = True

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.log_power = nn.ParameterDict({m: nn.Parameter(torch.zeros(())) for m in self.modalities})
        self.log_factor = nn.Parameter(torch.zeros(classes))

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the product (B, C); weights are the shares of the powers."""
        powers = {m: present[m] * self.log_power[m].exp() for m in self.modalities}
        own = {m: logits[m].detach().log_softmax(1) for m in self.modalities}
        joint = sum_of(powers[m][:, None] * own[m] for m in self.modalities) + self.log_factor
        total = sum_of(powers.values()).clamp_min(SMALLEST)
        return Combined(joint, {m: power / total for m, power in powers.items()})


class MaxDecision(Fusion):
    """The largest of the probabilities of each class (max rule, Kittler et al., 1998). Nothing to train."""

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the largest (B, C); the weight is with the surest modality."""
        own = probabilities(logits)
        there = torch.stack([torch.where(present[m][:, None], own[m], 0) for m in self.modalities])
        surest = there.amax(2).argmax(0)
        weights = {m: ((surest == i) & present[m]).float() for i, m in enumerate(self.modalities)}
        return Combined(there.amax(0).clamp_min(SMALLEST).log(), weights)


class Majority(Fusion):
    """One vote for each modality; where the votes are even, the mean probability decides. Nothing to train.

    The mean probability also tells how sure the answer is; that of a class with fewer votes is halved, and counts no
    more than the best of those with most votes.
    """

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of these means (B, C)."""
        shares = self.shares(present)
        own = probabilities(logits)
        votes = sum_of(
            present[m][:, None] * functional.one_hot(own[m].argmax(1), own[m].shape[1]) for m in self.modalities
        )
        mean = sum_of(shares[m][:, None] * own[m] for m in self.modalities)
        most = votes == votes.amax(1, keepdim=True)
        best = torch.where(most, mean, 0).amax(1, keepdim=True)
        joint = torch.where(most, mean, torch.minimum(mean, best) / 2)
        return Combined(joint.clamp_min(SMALLEST).log(), shares)


class Stacking(Fusion):
    """A linear layer on all log probabilities (stacked generalisation, Wolpert, 1992; linear: Ting & Witten, 1999).

    It begins as the product of the probabilities. Wolpert's learner sees logits of left-out folds; this one sees those
    of validation rows, which the classifiers have not trained on either and which cost no further training.
    """

    fitted_held_out = True

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.learn = nn.Linear(len(self.modalities) * classes, classes)
        with torch.no_grad():
            self.learn.weight.copy_(torch.eye(classes).repeat(1, len(self.modalities)))
            self.learn.bias.zero_()

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> logits (B, C); an absent modality's are zeros."""
        own = [torch.where(present[m][:, None], logits[m].detach().log_softmax(1), 0) for m in self.modalities]
        return Combined(self.learn(torch.cat(own, dim=1)), None)


class Confidence(Fusion):
    """Each row listens more to the surer modality; the idea of QMF (Zhang et al., 2023) without its means.

    QMF weighs by energies, which a rank loss on the history of each training row's losses keeps in order; neither is
    here.
    The weight of a modality is its calibrated confidence: its largest probability at a trained temperature (Guo et al.,
    2017). Weighted are the log probabilities; a trained factor makes up for their sum being a mean.
    """

    fitted_held_out = True

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.log_temperature = nn.ParameterDict({m: nn.Parameter(torch.zeros(())) for m in self.modalities})
        self.log_factor = nn.Parameter(torch.tensor(float(len(self.modalities))).log())

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> logits (B, C), and the weights."""
        own = {m: (logits[m].detach() / self.log_temperature[m].exp()).log_softmax(1) for m in self.modalities}
        sure = {m: torch.where(present[m], own[m].amax(1).exp(), 0) for m in self.modalities}
        total = sum_of(sure.values()).clamp_min(SMALLEST)
        weights = {m: s / total for m, s in sure.items()}
        joint = sum_of(weights[m][:, None] * own[m] for m in self.modalities)
        return Combined(self.log_factor.exp() * joint, weights)


class Evidential(Fusion):
    """Dempster's rule on subjective opinions (trusted multi-view classification, Han et al., 2021).

    Each modality's logits become evidence for each class, evidence belief (B, C) and uncertainty (B,); two opinions are
    joined by the reduced rule; an absent modality has no belief and uncertainty 1, which changes nothing. The evidence
    is exp(a * logit + b) with trained a and b, and is trained by the likelihood of the mean probability.
    """

    MOST = 10.0  # of the evidence's logarithm

    fitted_held_out = True

    def __init__(self, embedding_sizes: Mapping[str, int], stage_channels: Mapping[str, list[int]], classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.scale = nn.ParameterDict({m: nn.Parameter(torch.ones(())) for m in self.modalities})
        self.shift = nn.ParameterDict({m: nn.Parameter(torch.zeros(())) for m in self.modalities})

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log probability (B, C); weights are the shares of what each is certain of."""
        opinions = {m: self._opinion(m, logits[m].detach(), present[m]) for m in self.modalities}
        belief, uncertainty = reduce(dempster, opinions.values())
        classes = belief.shape[1]
        certain = {m: torch.where(present[m], 1 - u[:, 0], 0) for m, (_, u) in opinions.items()}
        total = sum_of(certain.values()).clamp_min(SMALLEST)
        joint = belief + uncertainty / classes
        return Combined(joint.clamp_min(SMALLEST).log(), {m: c / total for m, c in certain.items()})

    def _opinion(self, modality: str, logits: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, C) -> belief (B, C) and uncertainty (B, 1), which sum to 1."""
        evidence = (self.scale[modality] * logits + self.shift[modality]).clamp(ABSENT, self.MOST).exp()
        strength = evidence.sum(1, keepdim=True) + logits.shape[1]
        there = present[:, None]
        return torch.where(there, evidence / strength, 0), torch.where(there, logits.shape[1] / strength, 1)


def dempster(one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Joins two opinions, each belief (B, C) and uncertainty (B, 1), by the reduced rule of Han et al. (2021)."""
    (belief, uncertainty), (its_belief, its_uncertainty) = one, other
    agreeing = belief * its_belief
    conflict = belief.sum(1, keepdim=True) * its_belief.sum(1, keepdim=True) - agreeing.sum(1, keepdim=True)
    left = (1 - conflict).clamp_min(SMALLEST)
    joint = agreeing + belief * its_uncertainty + its_belief * uncertainty
    return joint / left, uncertainty * its_uncertainty / left


def probabilities(logits: Tensors) -> dict[str, Tensor]:
    """Per modality logits (B, C) -> probabilities (B, C), from which no gradient flows back."""
    return {m: logit.detach().softmax(dim=1) for m, logit in logits.items()}


def pooled(own: Tensors, weights: Tensors) -> Tensor:
    """Per modality probabilities (B, C) and weights (B,) -> log of the weighted mean (B, C)."""
    return sum_of(weights[m][:, None] * own[m] for m in own).clamp_min(SMALLEST).log()
