"""What is fitted on validation rows once the network is trained: temperatures, the guard, percentiles of energies.

Logits of one modality or of the strategy -> what the classifier answers with. The subset of the modalities that a row
has is a number: bit i is set where the i-th modality is present.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

PERCENTILES = 101  # of each head's energy, from the lowest to the highest


class Calibration(nn.Module):
    """Until it is fitted it changes nothing.

    Args:
        modalities: M names, in the order of the network.

    Attributes:
        temperature: (2 ** M,), by which the logits of each subset are divided.
        guard: (2 ** M, 1 + M), for each subset the shares of the fused answer and of each unimodal one in what is
            answered.
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
        """As if it had never been fitted."""
        self.temperature.fill_(1.0)
        self.guard.copy_(torch.eye(1, self.guard.shape[1]).expand_as(self.guard))

    def unimodal(self, logits: dict[str, Tensor]) -> dict[str, Tensor]:
        """The logits (B, C) of each head, divided by its temperature."""
        return {m: logits[m] / self.temperature[1 << i] for i, m in enumerate(self.modalities)}

    def answer(self, fused: Tensor, unimodal: dict[str, Tensor], present: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """What is answered, and the guard's shares in it.

        Args:
            fused: the strategy's logits (B, C), not calibrated.
            unimodal: calibrated logits (B, C) of each head, zeros where absent.
            present: per modality (B,) bool.

        Returns:
            logits (B, C): of a row with one modality that one's, of others the fused ones, mixed with the unimodal
            ones as the guard says; and shares (B, 1 + M). In training nothing is mixed.
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
        """By subset of several modalities, such as "image+audio": what its answers are mixed of, where it is mixed."""
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
    """Logits (B, C) -> free energy (B,), high for what a classifier has not seen the like of (Liu et al., 2020)."""
    return -logits.logsumexp(1)
