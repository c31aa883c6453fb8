"""MMPareto: each encoder follows a direction that lowers both the fused loss and its own head's loss."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import FUSED
from sightsound.training.balances.base import Auxiliary

SMALLEST = 1e-30  # lower bound of a vector's length, against division by zero
GAMMA = 1.5  # how much every encoder's gradient is enlarged


class MMPareto(Auxiliary):
    """Multimodal Pareto integration of gradients (Wei & Hu, ICML 2024).

    All losses have the same weight. Where the gradients of the fused loss and of the head's loss on an encoder agree
    (their dot product is not negative) their sum is taken; where they conflict, twice the shortest vector between
    them, made as long as their sum if it is shorter. Either is multiplied by `GAMMA`.

    Deviations from the paper: the optimizer is AdamW and not SGD with momentum; it scales each element of a gradient
    separately, which turns the direction somewhat, and cancels a constant factor such as `GAMMA`. The length is taken
    over the whole encoder; the authors' code takes it of each weight tensor. Where the strategy passes no gradient on
    (decision fusion) there is no conflict, and the head's own gradient is taken.
    """

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.encoders = network.encoders
        self.fused: dict[str, Tensor] = {}  # the fused loss's gradient on each encoder in this step, flat
        self.scale = 1.0  # the factor by which mixed precision scales this step's gradients

    def after_losses(self, each: dict[str, Tensor], rows: dict[str, Tensor], weight: Tensor | float) -> None:
        """Computes the gradients of the fused loss alone."""
        if not each[FUSED].requires_grad:
            return
        for m, encoder in self.encoders.items():
            if parameters := _trained(encoder):
                found = torch.autograd.grad(each[FUSED], parameters, retain_graph=True, allow_unused=True)
                flat = _flat(parameters, found)
                self.fused[m] = self.fused[m] + flat if m in self.fused else flat
        each[FUSED].register_hook(self._remember_scale)

    def after_backward(self, network: ClassifierNetwork) -> None:
        """Replaces each encoder's gradient, the sum of both, by their integration."""
        fused, self.fused = self.fused, {}
        for m, of_fused in fused.items():
            parameters = _trained(network.encoders[m])
            both = _flat(parameters, [parameter.grad for parameter in parameters])
            of_fused = of_fused * self.scale
            gradient = integrate(of_fused, both - of_fused)
            pieces = gradient.split([parameter.numel() for parameter in parameters])
            for parameter, piece in zip(parameters, pieces, strict=True):
                parameter.grad = torch.empty_like(parameter).copy_(piece.view_as(parameter))

    def _remember_scale(self, gradient: Tensor) -> None:
        self.scale = float(gradient)


def integrate(fused: Tensor, unimodal: Tensor) -> Tensor:
    """Gradients (n,) of the fused and of the unimodal loss -> the gradient (n,) to follow."""
    both = fused + unimodal
    if fused @ unimodal >= 0:
        return GAMMA * both
    apart = fused - unimodal
    share = -(unimodal @ apart) / (apart @ apart)  # of `fused` in the shortest vector between the two
    shortest = 2 * (share * fused + (1 - share) * unimodal)
    longer = torch.linalg.vector_norm(both) / torch.linalg.vector_norm(shortest).clamp_min(SMALLEST)
    gradient: Tensor = GAMMA * longer.clamp_min(1) * shortest
    return gradient


def _trained(encoder: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in encoder.parameters() if parameter.requires_grad]


def _flat(parameters: list[nn.Parameter], gradients: Iterable[Tensor | None]) -> Tensor:
    """Joins all gradients to one vector; zeros where there is none."""
    given = zip(parameters, gradients, strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).reshape(-1) for p, g in given])
