"""Pixels as the image encoder's input: (B, H, W, channels) uint8 -> (B, channels, H, W) uint8; then `Standardize`."""

import torch
from torch import Tensor, nn


class ChannelsFirst(nn.Module):
    """(B, H, W, channels) -> (B, channels, H, W), the type unchanged."""

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, H, W, channels) -> (B, channels, H, W)."""
        return pixels.permute(0, 3, 1, 2).contiguous()


class Standardize(nn.Module):
    """Subtracts the mean of the training data and divides by its standard deviation; both are saved with the weights.

    Args:
        channels: length of the channel axis (axis 1), or 0 for one mean and deviation of all values.
        places: number of axes after it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int = 0, places: int = 2) -> None:
        super().__init__()
        shape = (channels, *[1] * places) if channels else ()
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("std", torch.ones(shape))

    def fit(self, values: Tensor) -> None:
        """Takes the statistics of (n, channels, ...) training values; a constant channel keeps its scale."""
        values = values.float()
        axes = tuple(i for i in range(values.dim()) if i != 1 or not self.mean.dim())
        std, mean = torch.std_mean(values, axes, correction=0, keepdim=bool(self.mean.dim()))
        self.mean.copy_(mean.reshape(self.mean.shape))
        self.std.copy_(torch.where(std > 1e-6, std, torch.ones_like(std)).reshape(self.std.shape))

    def set(self, mean: list[float], std: list[float]) -> None:
        """Takes the statistics of each channel as given."""
        self.mean.copy_(torch.tensor(mean).reshape(self.mean.shape))
        self.std.copy_(torch.tensor(std).reshape(self.std.shape))

    def forward(self, values: Tensor) -> Tensor:
        """(B, channels, ...) any type -> same shape, float, standardised over the training data."""
        return (values.to(self.mean.dtype) - self.mean) / self.std
