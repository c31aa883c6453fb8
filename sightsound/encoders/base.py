"""The base class of encoders: K stages from features to a map, and a pool from the last map to an embedding.

There is no BatchNorm here: results must not depend on batch size or absent rows.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

STAGES = 3  # K: the same for all, so that hierarchical strategies can pair any two encoders
PRETRAINED_RATE = 0.02  # of the learning rate, for the last layer, to preserve pretrained weights


class Encoder(nn.Module):
    """Base class. A subclass is built from the shape of its features and sets the first four attributes.

    Its own options are keyword-only parameters of its constructor, each with a type and a default: that of
    `*, width: int = 16` is typed as --image.encoder.width 32.

    Attributes:
        stages: K modules; stage k returns a map (B, stage_channels[k], *anything), with any number of further axes.
        stage_channels: channels of each stage's map.
        pool: last map -> (B, D).
        embedding_size: D.
        options: those that it was built with, by name.
    """

    takes_features = True  # False: it takes embeddings in their place

    stages: nn.ModuleList
    stage_channels: list[int]
    pool: nn.Module
    embedding_size: int
    options: Mapping[str, Any] = {}

    def forward(self, features: Tensor) -> Tensor:
        """(B, *shape) -> (B, D): all stages and the pool, with no exchange between."""
        for stage in self.stages:
            features = stage(features)
        embedding: Tensor = self.pool(features)
        return embedding

    def rate_of(self, parameter: str, layer_decay: float) -> float:
        """Returns the learning rate of a parameter, by name, as a multiple of the configured one.

        Args:
            parameter: the name of the parameter.
            layer_decay: in a pretrained encoder, each layer's rate as a multiple of the next one's.
        """
        return 1.0


class PretrainedEncoder(Encoder):
    """Base class of the encoders of the package whose weights come from elsewhere.

    The layers of each stage are in order, so that a parameter's name tells how deep it lies.
    """

    def read_weights(self, file: Path) -> dict[str, Tensor]:
        """Returns the state of the encoder from the file in which its publisher has the weights."""
        raise NotImplementedError

    def rate_of(self, parameter: str, layer_decay: float) -> float:
        """Returns a small rate, smaller for earlier layers: layer-wise decay as in Clark et al. (ELECTRA, 2020)."""
        lengths = [len(cast(nn.Sequential, stage)) for stage in self.stages]
        _, stage, layer, *_ = parameter.split(".")
        return float(PRETRAINED_RATE * layer_decay ** (sum(lengths) - 1 - sum(lengths[: int(stage)]) - int(layer)))


class Embedded(Encoder):
    """Passes embeddings through, in place of features: (B, D) -> (B, D)."""

    takes_features = False

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Identity() for _ in range(STAGES))
        self.stage_channels = [size] * STAGES
        self.pool = nn.Identity()
        self.embedding_size = size


def conv_block(before: int, after: int, stride: int, size: int = 3) -> nn.Sequential:
    """Convolution, norm over the whole map, ReLU: (B, before, H, W) -> (B, after, H / stride, W / stride)."""
    return nn.Sequential(nn.Conv2d(before, after, size, stride, size // 2), nn.GroupNorm(1, after), nn.ReLU())


class Residual(nn.Module):
    """Halves the map, then adds a second convolution's output to it (He et al., 2016, in small).

    (B, before, H, W) -> (B, after, H / 2, W / 2).
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.down = conv_block(before, after, stride=2)
        self.refine = conv_block(after, after, stride=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / 2, W / 2)."""
        small: Tensor = self.down(x)
        refined: Tensor = self.refine(small)
        return small + refined


def sizes_of(encoders: Mapping[str, nn.Module]) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Returns what strategies are built from: the size of each embedding, the channels of each stage's map."""
    known = {m: cast(Encoder, encoder) for m, encoder in encoders.items()}
    return {m: e.embedding_size for m, e in known.items()}, {m: e.stage_channels for m, e in known.items()}
