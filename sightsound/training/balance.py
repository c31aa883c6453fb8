"""What keeps one sense from starving the other while they are trained together: one small class for each way.

A balance makes one loss of the fused answer's and each head's, and may look on after each backward pass and epoch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from sightsound.encoders.base import Encoder
from sightsound.fusion.base import like
from sightsound.losses import FUSED, losses
from sightsound.model import ClassifierNetwork
from sightsound.types import Batch, Output


class Heads:
    """Every loss counts the same: the fused answer's teaches the encoders too, and each head's keeps its own awake.

    Peng et al. (2022) name the problem that this answers.

    Args:
        network: as it is when the stage begins.
    """

    needs_single_senses = False  # whether each sense is trained alone before
    heads_teach = True  # whether the losses of the heads reach the encoders
    fusion_teaches = True  # whether the loss of the fused answer does

    def __init__(self, network: ClassifierNetwork) -> None:
        self.weights = dict.fromkeys((FUSED, *network.modalities), 1.0)

    def loss(self, output: Output, batch: Batch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """A scalar to minimise; `batch` holds features, `weight` (B,) is of each row."""
        each = losses(output, batch.present, target, weight)
        self.after_losses({name: loss.detach() for name, loss in each.items()})
        return torch.stack([self.weights[name] * loss for name, loss in each.items()]).sum()

    def after_losses(self, each: dict[str, Tensor]) -> None:
        """The losses of some rows by name, scalars, not weighted."""

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


class Apart(Heads):
    """The default: each encoder learns from its own head alone, the strategy from the fused answer, at the same time.

    So each sense is trained as if the other were not there, and is as good when it is alone. Keeping the senses'
    losses out of each other's encoders is the answer of Fan et al. (detached multimodal learning, 2024).
    """

    fusion_teaches = False


class FusedOnly(Heads):
    """Nothing is balanced: the fused answer's loss alone trains the encoders, as most of the literature does.

    The heads learn to read what the encoders happen to give.
    """

    heads_teach = False


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


class GradientBlend(Heads):
    """Losses weighted by what their last epoch won on validation rows over what it overfitted, squared.

    Online gradient blending (Wang, Tran & Feiszli, CVPR 2020), with an epoch as its super-epoch.
    """

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.steps: list[dict[str, Tensor]] = []
        self.before: dict[str, dict[str, float]] | None = None

    def after_losses(self, each: dict[str, Tensor]) -> None:
        """Remembers them."""
        self.steps.append(each)

    def after_epoch(self, val: Mapping[str, float]) -> None:
        """Sets the weights of the next epoch; they sum to the number of losses."""
        train = {name: float(torch.stack([step[name] for step in self.steps]).mean()) for name in val}
        gap = {name: val[name] - train[name] for name in val}
        if self.before is not None:
            gain = {name: max(self.before["val"][name] - val[name], 1e-4) for name in val}
            overfit = {name: max(gap[name] - self.before["gap"][name], 1e-2) for name in val}
            ratio = {name: gain[name] / overfit[name] ** 2 for name in val}
            total = sum(ratio.values())
            # half of it is even, so that a loss that stood still for an epoch is not forgotten
            self.weights = {name: 0.5 + 0.5 * len(ratio) * value / total for name, value in ratio.items()}
        self.before, self.steps = {"val": dict(val), "gap": gap}, []

    def state(self) -> dict[str, object]:
        """Weights and the last losses."""
        return {"weights": self.weights, "before": self.before}


class UnimodalTeacher(Heads):
    """Each encoder is kept close to one that was trained alone (UMT, Du et al., ICML 2023).

    The mean squared distance of the embeddings is added to the loss.
    """

    needs_single_senses = True

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.standardize = copy.deepcopy(network.standardize).eval().requires_grad_(False)
        self.teachers = copy.deepcopy(network.encoders).eval().requires_grad_(False)

    def loss(self, output: Output, batch: Batch, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
        """The losses, and the distances."""
        loss = super().loss(output, batch, target, weight)
        for m, given in output.embeddings.items():
            rows = batch.present[m][:, None]
            self.teachers.to(given.device)
            with torch.no_grad():
                features = torch.where(like(batch.present[m], batch.inputs[m]), batch.inputs[m].float(), 0)
                taught = cast(Encoder, self.teachers[m])(self.standardize[m](features)).float()
            loss = loss + torch.where(rows, mse_loss(given, taught, reduction="none"), 0).mean()
        return loss


BALANCES: dict[str, type[Heads]] = {
    "apart": Apart,
    "heads": Heads,
    "none": FusedOnly,
    "ogm-ge": OgmGe,
    "gradient-blend": GradientBlend,
    "unimodal-teacher": UnimodalTeacher,
}
