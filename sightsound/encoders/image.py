"""Image encoders: (B, channels, H, W) standardised pixels -> three maps -> (B, D)."""

from torch import nn

from sightsound.encoders.base import Encoder, Residual
from sightsound.errors import ConfigError


class ResNet(Encoder):
    """The default: three residual stages, then a 4 x 4 grid of averages, which keeps the position of strokes."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = shape
        _at_least(8, height, width, "resnet")
        self.stage_channels = [16, 32, 64]
        self.stages = nn.ModuleList(
            Residual(before, after)
            for before, after in zip([channels, *self.stage_channels], self.stage_channels, strict=False)
        )
        self.embedding_size = 128
        self.pool = nn.Sequential(
            nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(64 * 16, self.embedding_size), nn.ReLU()
        )


class Cnn(Encoder):
    """The classic: 32 convolutions 3 x 3, max-pool 2, flatten, dense 128."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = shape
        _at_least(4, height, width, "cnn")
        flat = 32 * ((height - 2) // 2) * ((width - 2) // 2)
        self.stage_channels = [32, 32, 128]
        self.stages = nn.ModuleList(
            [
                nn.Conv2d(channels, 32, 3),
                nn.Sequential(nn.MaxPool2d(2), nn.ReLU()),  # the same as ReLU first, on a quarter of the values
                nn.Sequential(nn.Flatten(), nn.Linear(flat, 128), nn.ReLU()),
            ]
        )
        self.embedding_size = 128
        self.pool = nn.Identity()


def _at_least(pixels: int, height: int, width: int, name: str) -> None:
    if min(height, width) < pixels:
        raise ConfigError(f"The encoder {name!r} needs images of {pixels} pixels or more, not {height} x {width}.")
