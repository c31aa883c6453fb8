"""Decision fusion (late fusion): joins the unimodal logits, per modality (B, C) -> logits (B, C).

The logits are detached: each head is trained by its own loss alone. The loss of the fused answer would let one head
slack where the other is right, at the cost of its unimodal prediction. The parameters of a strategy are fitted on
validation rows: a head that has memorised its training rows is sure and right on these, and on no others.
"""

from functools import reduce

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsound.fusion.base import ABSENT, Channels, Combined, Fusion, Sizes, Tensors, sum_of

SMALLEST = 1e-30  # keeps the logarithm finite


class Vote(Fusion):
    """The mean of the unimodal probabilities (linear opinion pool, Stone, 1961), without parameters."""

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the mean probability (B, C); weights are the shares in the mean."""
        shares = self.shares(present)
        return Combined(pooled(probabilities(logits), shares), shares)


class Weighted(Fusion):
    """The weighted mean of the probabilities, with one fitted weight for each modality."""

    fitted_held_out = True

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.weight = nn.ParameterDict({m: nn.Parameter(torch.zeros(())) for m in self.modalities})

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the weighted mean probability (B, C), and the weights."""
        weights = self.softmax({m: self.weight[m].expand(len(present[m])) for m in self.modalities}, present)
        return Combined(pooled(probabilities(logits), weights), weights)


class Product(Fusion):
    """Logarithmic opinion pool (Heskes, 1998): the product of the probabilities, each to a fitted power.

    It is optimal where the modalities are independent given the class: the powers calibrate the unimodal predictions,
    and a fitted factor for each class takes out the prior that was multiplied in twice.
    """

    fitted_held_out = True

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
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
    """The largest of the probabilities of each class (max rule, Kittler et al., 1998), without parameters."""

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log of the largest (B, C); the surest modality has all weight."""
        own = probabilities(logits)
        there = torch.stack([torch.where(present[m][:, None], own[m], 0) for m in self.modalities])
        surest = there.amax(2).argmax(0)
        weights = {m: ((surest == i) & present[m]).float() for i, m in enumerate(self.modalities)}
        return Combined(there.amax(0).clamp_min(SMALLEST).log(), weights)


class Majority(Fusion):
    """One vote for each modality; where the votes are even, the mean probability decides. It has no parameters.

    The confidence of the answer is the mean probability; that of a class with fewer votes is halved, and is at most
    the largest of the classes with most votes.
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

    It is initialised as the product of the probabilities. Wolpert fits on logits of left-out folds; this one is fitted
    on those of validation rows, on which the heads have not been trained either and which cost no further training.
    """

    fitted_held_out = True

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
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
    """Weights each modality, row by row, by its confidence, after the idea of QMF (Zhang et al., 2023).

    QMF weights by energies, ordered by a rank loss on the history of each training row's losses; neither is used here.
    The weight of a modality is its calibrated confidence: its largest probability at a fitted temperature (Guo et al.,
    2017). The weighted mean is taken of the log probabilities; a fitted factor rescales this mean to a sum.
    """

    fitted_held_out = True

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
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

    Each modality's logits give evidence for each class, evidence gives belief (B, C) and uncertainty (B,); two opinions
    are joined by the reduced rule; an absent modality has no belief and uncertainty 1, which changes nothing. The
    evidence is exp(a * logit + b), with a and b fitted by the likelihood of the mean probability.
    """

    MOST = 10.0  # upper bound of the evidence's logarithm

    fitted_held_out = True

    def __init__(self, embedding_sizes: Sizes, stage_channels: Channels, classes: int):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.scale = nn.ParameterDict({m: nn.Parameter(torch.ones(())) for m in self.modalities})
        self.shift = nn.ParameterDict({m: nn.Parameter(torch.zeros(())) for m in self.modalities})

    def combine(self, embeddings: Tensors, logits: Tensors, present: Tensors, shared: Tensor | None = None) -> Combined:
        """Per modality logits (B, C) -> log probability (B, C); weights are the shares of each certainty."""
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
