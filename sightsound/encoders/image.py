"""Image encoders: (B, channels, H, W) standardised pixels -> three maps -> (B, D)."""

import math
from collections.abc import Sequence

from torch import nn

from sightsound.encoders.base import Encoder, Residual
from sightsound.errors import ConfigError
from sightsound.types import Count


class ResNet(Encoder):
    """The default: three residual stages, then a 4 x 4 grid of averages, which keeps positions; dense 128.

    The stages have `width` channels, twice and four times as many.
    """

    def __init__(self, shape: tuple[int, ...], *, width: Count = 16, embedding_size: Count = 128) -> None:
        super().__init__()
        channels, *sides = shape
        _at_least(8, sides, "resnet")
        self.stage_channels = [width, 2 * width, 4 * width]
        self.stages = nn.ModuleList(
            Residual(before, after)
            for before, after in zip([channels, *self.stage_channels], self.stage_channels, strict=False)
        )
        self.embedding_size = embedding_size
        self.pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(4 * width * 16, embedding_size), nn.ReLU()
        )


class Cnn(Encoder):
    """The classic: convolution 3 x 3 of 32 `filters`, max-pool 2, flatten, dense 128 (`embedding_size`)."""

    def __init__(self, shape: tuple[int, ...], *, filters: Count = 32, embedding_size: Count = 128) -> None:
        super().__init__()
        channels, *sides = shape
        _at_least(4, sides, "cnn")
        flat = filters * math.prod((side - 2) // 2 for side in sides)
        self.stage_channels = [filters, filters, embedding_size]
        self.stages = nn.ModuleList(
            [
                nn.Conv2d(channels, filters, 3),
                nn.Sequential(nn.MaxPool2d(2), nn.ReLU()),  # the same as ReLU first, on a quarter of the values
                nn.Sequential(nn.Flatten(), nn.Linear(flat, embedding_size), nn.ReLU()),
            ]
        )
        self.embedding_size = embedding_size
        self.pool = nn.Identity()


def _at_least(pixels: int, sides: Sequence[int], name: str) -> None:
    if min(sides) < pixels:
        given = " x ".join(map(str, sides))
        raise ConfigError(f"The encoder {name!r} needs images of {pixels} pixels or more, not {given}.")
