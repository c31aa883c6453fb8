"""What is fitted on validation rows once the network is trained: temperatures, the guard, percentiles of energies.

It maps the logits of the heads and of the strategy to the classifier's final logits. The subset of modalities that a
row has is a number: bit i is set where the i-th modality is present.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PERCENTILES = 101  # of each head's energy, from the lowest to the highest


class Calibration(nn.Module):
    """Temperatures, guard and energy percentiles; the identity until it is fitted.

    Args:
        modalities: M names, in the order of the network.

    Attributes:
        temperature: (2 ** M,), by which the logits of each subset are divided.
        guard: (2 ** M, 1 + M), for each subset the shares of the fused and of each unimodal prediction in the answer.
        energies: (M, 101), percentiles of each head's energy over the validation rows.
    """

    temperature: Tensor
    guard: Tensor
    energies: Tensor

    def __init__(self, modalities: list[str]) -> None:
        super().__init__()
        self.modalities = modalities
        self.register_buffer("temperature", torch.ones(2 ** len(modalities)))
        self.register_buffer("guard", torch.eye(1, 1 + len(modalities)).repeat(2 ** len(modalities), 1))
        self.register_buffer("energies", torch.zeros(len(modalities), PERCENTILES))

    def reset(self) -> None:
        """Returns to the state before fitting."""
        self.temperature.fill_(1.0)
        self.guard.copy_(torch.eye(1, self.guard.shape[1]).expand_as(self.guard))

    def unimodal(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """Divides the logits (B, C) of each head by its temperature."""
        return {m: logits[m] / self.temperature[1 << i] for i, m in enumerate(self.modalities)}

    def answer(self, fused: Tensor, unimodal: dict[str, Tensor], present: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Computes the final logits, and the guard's shares in them.

        Args:
            fused: the strategy's logits (B, C), not calibrated.
            unimodal: calibrated logits (B, C) of each head, zeros where absent.
            present: per modality (B,) bool.

        Returns:
            logits (B, C), which are unimodal in a row with one modality, and otherwise the fused ones, mixed with the
            unimodal ones by the guard's shares; and the shares (B, 1 + M). In training nothing is mixed.
        """
        single = torch.stack([unimodal[m] for m in self.modalities]).sum(0)
        alone = torch.stack([present[m] for m in self.modalities]).sum(0) == 1
        subset = torch.stack([present[m].long() << i for i, m in enumerate(self.modalities)]).sum(0)
        logits = torch.where(alone[:, None], single, fused / self.temperature[subset][:, None])
        shares = self.guard[subset]
        if self.training:
            return logits, shares
        every = torch.stack([logits, *(unimodal[m] for m in self.modalities)], dim=1).softmax(2)  # (B, 1 + M, C)
        mixed = (shares[:, :, None] * every).sum(1).clamp_min(torch.finfo(every.dtype).tiny).log()
        return torch.where(shares[:, :1] < 1, mixed, logits), shares

    def ood_score(self, modality: str, energy: Tensor) -> Tensor:
        """Energies (B,) of a head -> the share (B,) of validation rows whose energy is lower."""
        percentiles = self.energies[self.modalities.index(modality)]
        return torch.searchsorted(percentiles, energy.contiguous()).clamp_max(100) / 100

    def guard_shares(self) -> dict[str, dict[str, float]]:
        """Returns the guard's shares by subset of several modalities, such as "image+audio", where it mixes."""
        found = {}
        for number, shares in enumerate(self.guard.tolist()):
            if shares[0] < 1:
                names = [m for i, m in enumerate(self.modalities) if number >> i & 1]
                of_each = dict(zip(["fused", *self.modalities], shares, strict=True))
                found["+".join(names)] = {name: round(of_each[name], 4) for name in ("fused", *names)}
        return found

    def subset_number(self, subset: tuple[str, ...]) -> int:
        """The number of a subset of the modalities."""
        return sum(1 << self.modalities.index(m) for m in subset)

    def is_valid(self) -> bool:
        """Whether temperatures are positive and the guard's shares convex."""
        convex = (self.guard >= 0).all() and (self.guard.sum(1) - 1).abs().max() <= 1e-3
        return bool(convex and (self.temperature > 0).all())


def energy_of(logits: Tensor) -> Tensor:
    """Logits (B, C) -> free energy (B,), high for out-of-distribution inputs (Liu et al., 2020)."""
    return -logits.logsumexp(1)
