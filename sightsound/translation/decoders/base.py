"""Deterministic autoencoders: a map of features -> a short vector -> the map again.

They are regularised as in Ghosh et al. (From Variational to Deterministic Autoencoders, ICLR 2020): vectors of one
length, with noise while training, so that vectors near a known one decode to plausible maps too.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

NOISE = 0.1  # standard deviation of the noise on latents in training; that of the latents is 1
WIDTHS = (16, 32, 64)  # channels after each halving
FACTOR = 2 ** len(WIDTHS)


class Autoencoder(nn.Module):
    """Encodes standardised maps (B, channels, H, W) <-> latents (B, latent_size).

    Args:
        channels: channels of a map.
        height: height of a map.
        width: width of a map.
        latent_size: L.
    """

    def __init__(self, channels: int, height: int, width: int, latent_size: int) -> None:
        super().__init__()
        self.height, self.width, self.latent_size = height, width, latent_size
        small = (math.ceil(height / FACTOR), math.ceil(width / FACTOR))
        flat = WIDTHS[-1] * small[0] * small[1]
        downs = [_Down(before, after) for before, after in zip([channels, *WIDTHS], WIDTHS, strict=False)]
        self.down = nn.Sequential(*downs, nn.Flatten(), nn.Linear(flat, latent_size))
        ups = [_Up(before, after) for before, after in zip(WIDTHS[:0:-1], WIDTHS[-2::-1], strict=True)]
        last = nn.Sequential(nn.Conv2d(WIDTHS[0], 4 * channels, 3, padding=1), nn.PixelShuffle(2))
        self.up = nn.Sequential(
            nn.Linear(latent_size, flat), nn.SiLU(), nn.Unflatten(1, (WIDTHS[-1], *small)), *ups, last
        )

    def encode(self, maps: Tensor) -> Tensor:
        """(B, channels, H, W) -> (B, L), of mean square 1."""
        down, right = -self.height % FACTOR, -self.width % FACTOR
        latent: Tensor = self.down(functional.pad(maps, (0, right, 0, down), mode="replicate"))
        return latent * latent.square().mean(1, keepdim=True).add(1e-8).rsqrt()

    def decode(self, latent: Tensor) -> Tensor:
        """(B, L) -> (B, channels, H, W)."""
        maps: Tensor = self.up(latent)
        return maps[:, :, : self.height, : self.width]

    def loss(self, maps: Tensor, stages: Sequence[nn.Module] = ()) -> Tensor:
        """Computes the mean square error of (B, channels, H, W) decoded from noisy latents; a scalar.

        Args:
            maps: standardised maps.
            stages: the stages of a trained encoder. The error of each stage's map, as a share of its mean square, is
                added (a perceptual loss, Johnson et al., ECCV 2016): without it what tells classes apart is blurred.
        """
        latent = self.encode(maps)
        made = self.decode(latent + NOISE * torch.randn_like(latent))
        loss = (made - maps).square().mean()
        for stage in stages:
            made, maps = stage(made), stage(maps)
            loss = loss + (made - maps).square().mean() / maps.square().mean() / len(stages)
        return loss


class _Down(nn.Module):
    """(B, before, H, W) -> (B, after, H / 2, W / 2)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(before, after, 3, stride=2, padding=1)
        self.refine = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.shrink(x))
        return x + functional.silu(self.refine(x))


class _Up(nn.Module):
    """(B, before, H, W) -> (B, after, 2 H, 2 W); sub-pixel convolution (Shi et al., CVPR 2016)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.grow = nn.Conv2d(before, 4 * after, 3, padding=1)
        self.refine = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(functional.pixel_shuffle(self.grow(x), 2))
        return x + functional.silu(self.refine(x))
