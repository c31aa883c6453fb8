"""A conditional generative model of the latents of all modalities jointly: from noise to latents that match.

Any subset is given, by its shared embeddings, and the rest is generated, as in masked multi-modal latent diffusion
(Bounoua et al., Entropy 2024); paths from noise are straight (flow matching, Lipman et al., ICLR 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

HIDDEN, BLOCKS, TIME_NUMBERS = 512, 4, 32


class LatentFlow(nn.Module):
    """Computes the velocity of latents on their paths from noise.

    Args:
        sizes: the size of each modality's latent.
        meaning_size: E, the size of the shared embedding of a given modality.
    """

    def __init__(self, sizes: Mapping[str, int], meaning_size: int) -> None:
        super().__init__()
        self.sizes = dict(sizes)
        every = sum(sizes.values())
        self.into = nn.Linear(every, HIDDEN)
        self.condition = nn.Sequential(
            nn.Linear(TIME_NUMBERS + len(sizes) * (meaning_size + 1), HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN)
        )
        self.blocks = nn.ModuleList(_Block() for _ in range(BLOCKS))
        self.out = nn.Linear(HIDDEN, every)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, noisy: Mapping[str, Tensor], time: Tensor, meaning: Mapping[str, Tensor], given: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """Velocities, per modality (B, L).

        Args:
            noisy: per modality (B, L), on the path from noise; not read where the modality is given.
            time: (B,) from 0 (noise) to 1.
            meaning: per modality shared embeddings (B, E), not read where not given.
            given: per modality (B,) bool.
        """
        hidden = [torch.where(given[m][:, None], 0, noisy[m]) for m in self.sizes]
        known = [torch.where(given[m][:, None], meaning[m], 0) for m in self.sizes]
        flags = torch.stack([given[m] for m in self.sizes], 1).float()
        condition = self.condition(torch.cat([_waves(time), *known, flags], 1))
        x = self.into(torch.cat(hidden, 1))
        for block in self.blocks:
            x = block(x, condition)
        velocities = self.out(x).split(list(self.sizes.values()), 1)
        return dict(zip(self.sizes, velocities, strict=True))

    def loss(self, latents: Mapping[str, Tensor], meaning: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> Tensor:
        """Computes the error of the velocities at random times and noises; a scalar.

        Args:
            latents: per modality standardised latents (B, L).
            meaning: per modality shared embeddings (B, E).
            given: per modality (B,) bool; the loss is that of the modalities not given.
        """
        some = next(iter(latents.values()))
        time = torch.sigmoid(
            torch.randn(len(some), device=some.device)
        )  # the middle is the hardest (Esser et al., 2024)
        noise = {m: torch.randn_like(z) for m, z in latents.items()}
        noisy = {m: noise[m] + time[:, None] * (z - noise[m]) for m, z in latents.items()}
        found = self(noisy, time, meaning, given)
        wrong = [((found[m] - (z - noise[m])).square().mean(1) * ~given[m]).sum() for m, z in latents.items()]
        return torch.stack(wrong).sum() / torch.stack([~g for g in given.values()]).sum()

    @torch.no_grad()
    def generate(
        self,
        noise: Mapping[str, Tensor],
        meaning: Mapping[str, Tensor],
        given: Mapping[str, Tensor],
        steps: int,
        guidance: float,
    ) -> dict[str, Tensor]:
        """Integrates the velocities from noise to latents, per modality (B, L); undefined where given.

        Args:
            noise: per modality (B, L), standard normal.
            meaning: per modality shared embeddings (B, E).
            given: per modality (B,) bool.
            steps: number of Euler steps.
            guidance: the weight of the condition; 1 as trained, more is more typical and less diverse (classifier-free
                guidance, Ho & Salimans, 2022).
        """
        found = dict(noise)
        nothing = {m: torch.zeros_like(g) for m, g in given.items()}
        for step in range(steps):
            time = torch.full(
                (len(next(iter(found.values()))),), step / steps, device=next(iter(found.values())).device
            )
            way = self(found, time, meaning, given)
            if guidance != 1:
                free = self(found, time, meaning, nothing)
                # a modality that is given is generated beside the others here, since the pass without anything given
                # reads its latent too; the other pass was trained without a velocity for it
                way = {m: torch.where(given[m][:, None], free[m], free[m] + guidance * (way[m] - free[m])) for m in way}
            found = {m: found[m] + way[m] / steps for m in found}
        return found


class _Block(nn.Module):
    """A residual block on (B, HIDDEN) under a condition (B, HIDDEN), as in DiT (Peebles & Xie, ICCV 2023)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(HIDDEN, elementwise_affine=False)
        self.modulate = nn.Linear(HIDDEN, 2 * HIDDEN)
        self.net = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.modulate(functional.silu(condition)).chunk(2, 1)
        added: Tensor = self.net(self.norm(x) * (1 + scale) + shift)
        return x + added


def _waves(time: Tensor) -> Tensor:
    """Encodes (B,) -> (B, TIME_NUMBERS) as sines and cosines of the time."""
    frequencies = torch.exp(torch.linspace(0, math.log(100), TIME_NUMBERS // 2, device=time.device))
    angles = time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)
