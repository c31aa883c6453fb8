"""YAMNet as an encoder: (B, T, 64) log-mel frames -> three maps -> (B, 2048)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from sightsound.encoders.base import PretrainedEncoder
from sightsound.encoders.lite0 import activated
from sightsound.errors import ConfigError

WINDOW, STEP = 96, 48  # frames that an embedding sees, and from one to the next
BINS = 64
# stride and channels after each pair of a convolution channel by channel and one over channels: MobileNet v1
PAIRS = [(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512)] + 5 * [(1, 512)] + [(2, 1024), (1, 1024)]
STEM = 32
SECOND, THIRD = 12, 24  # the layers with which these stages begin, where the map has a 16th and a 32nd of the sides


class Yamnet(PretrainedEncoder):
    """YAMNet (Plakal & Ellis, 2019), a MobileNet v1 that was trained on AudioSet: 3.2 million weights.

    It sees windows of 0.96 s, 0.48 s apart, which are a further axis of each map. The embedding is the mean of the
    windows' embeddings, and their maximum, since a sound that matters may be short.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        frames, bins = shape
        if frames < WINDOW or bins != BINS:
            raise ConfigError(f"The encoder 'yamnet' takes {WINDOW} frames or more, of {BINS} mel bins, not {shape}.")
        layers: list[nn.Module] = [activated(1, STEM, 3, stride=2)]
        before = STEM
        for stride, after in PAIRS:
            layers += [activated(before, before, 3, stride, groups=before), activated(before, after, 1)]
            before = after
        first = CutIntoWindows(*layers[:SECOND])
        self.stages = nn.ModuleList([first, EachWindow(*layers[SECOND:THIRD]), EachWindow(*layers[THIRD:])])
        self.stage_channels = [256, 512, 1024]
        self.pool = MeanAndMaximum()
        self.embedding_size = 2 * before

    def read_weights(self, file: Path) -> dict[str, Tensor]:
        """Reads `yamnet_spectra_in.tflite`, whose weights are of 8 bits; see the base class."""
        import numpy as np
        import tflite

        model = tflite.Model.GetRootAs(file.read_bytes())
        graph = model.Subgraphs(0)
        found = {}
        convolutions = [name for name, module in self.named_modules() if isinstance(module, nn.Conv2d)]
        operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
        codes = [model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode() for operator in operators]
        kinds = {tflite.BuiltinOperator.CONV_2D: (0, 3, 1, 2), tflite.BuiltinOperator.DEPTHWISE_CONV_2D: (3, 0, 1, 2)}
        ours = [(operator, kinds[code]) for operator, code in zip(operators, codes, strict=True) if code in kinds]

        def dequantized(index: int, dtype: type) -> Tensor:
            tensor = graph.Tensors(index)
            whole: np.ndarray = np.frombuffer(model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes(), dtype)
            scales = tensor.Quantization().ScaleAsNumpy()
            along = [-1 if i == tensor.Quantization().QuantizedDimension() else 1 for i in range(tensor.ShapeLength())]
            return torch.tensor(whole.reshape(tensor.ShapeAsNumpy()).astype(np.float32) * scales.reshape(along))

        for name, (operator, order) in zip(convolutions, ours, strict=True):
            found[f"{name}.weight"] = dequantized(operator.Inputs(1), np.int8).permute(order)
            found[f"{name}.bias"] = dequantized(operator.Inputs(2), np.int32)
        return found


class EachWindow(nn.Sequential):
    """Layers over (H, W) of each window: (B, before, windows, H, W) -> (B, after, windows, H', W')."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        rows = len(x)
        each: Tensor = cast(Any, super()).forward(x.transpose(1, 2).flatten(0, 1))  # which torch does not annotate
        windows: Tensor = each.unflatten(0, (rows, -1)).transpose(1, 2)
        return windows


class CutIntoWindows(EachWindow):
    """The same over frames (B, T, F), which are cut into windows first."""

    def forward(self, frames: Tensor) -> Tensor:
        """See the class."""
        return super().forward(frames.unfold(1, WINDOW, STEP).transpose(2, 3)[:, None])


class MeanAndMaximum(nn.Module):
    """The mean of each window's map, and of these the mean and the maximum: (B, C, windows, H, W) -> (B, 2 C)."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        of_windows = x.mean((3, 4))
        return torch.cat([of_windows.mean(2), of_windows.amax(2)], 1)
