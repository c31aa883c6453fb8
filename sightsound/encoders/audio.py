"""Audio encoders: (B, T, F) standardised log-mel frames -> three maps -> (B, D)."""

import torch
from torch import Tensor, nn

from sightsound.encoders.base import Encoder, Residual, conv_block
from sightsound.errors import ConfigError
from sightsound.types import Count


class WithChange(nn.Module):
    """Adds a second channel, the difference from the mean of each bin, which removes steady noise.

    (B, T, F) -> (B, 2, T, F). The second is cepstral mean normalisation (Atal, 1974); the first keeps steady tones.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, 2, T, F)."""
        return torch.stack([x, x - x.mean(1, keepdim=True)], dim=1)


class ConvNet(Encoder):
    """The default: a wide convolution with stride 4, two residual stages, the maximum over time and frequency.

    The stages have `width` channels, 4 and 8 times as many. The pool is the maximum and not the mean, so that a short
    sound in long noise counts.
    """

    def __init__(self, shape: tuple[int, ...], *, width: Count = 16) -> None:
        super().__init__()
        frames, bins = shape
        if min(frames, bins) < 8:
            raise ConfigError(f"The encoder 'convnet' needs 8 frames and 8 mel bins or more, not {frames} x {bins}.")
        self.stage_channels = [width, 4 * width, 8 * width]
        self.stages = nn.ModuleList(
            [
                nn.Sequential(WithChange(), conv_block(2, width, stride=4, size=7)),
                Residual(width, 4 * width),
                Residual(4 * width, 8 * width),
            ]
        )
        self.embedding_size = 8 * width
        self.pool = nn.Sequential(nn.AdaptiveMaxPool2d((1, 1)), nn.Flatten())


class BinsFirst(nn.Module):
    """(B, T, F) -> (B, F, T), the channel axis where every map has it."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) -> (B, F, T)."""
        return x.transpose(1, 2)


class Recurrence(nn.Module):
    """Bidirectional LSTM over frames, `cells` each way: (B, F, T) -> (B, 2 * cells, T)."""

    def __init__(self, bins: int, cells: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(bins, cells, bidirectional=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B, F, T) -> (B, 2 * cells, T)."""
        states: Tensor
        states, _ = self.lstm(x.permute(2, 0, 1))
        return states.permute(1, 2, 0)


class LastStates(nn.Module):
    """Returns the last state of each direction of an LSTM: (B, 2 * cells, T) -> (B, 2 * cells)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, 2 * cells, T) -> (B, 2 * cells)."""
        cells = x.shape[1] // 2
        last, first = x[:, :, [-1, 0]].unbind(2)
        return torch.cat([last[:, :cells], first[:, cells:]], dim=1)


class BiLstm(Encoder):
    """The classic: bidirectional LSTM of 64 `cells` each way over frames, dense 64 (`embedding_size`)."""

    def __init__(self, shape: tuple[int, ...], *, cells: Count = 64, embedding_size: Count = 64) -> None:
        super().__init__()
        _, bins = shape
        self.stage_channels = [bins, 2 * cells, embedding_size]
        self.stages = nn.ModuleList(
            [
                BinsFirst(),
                Recurrence(bins, cells),
                nn.Sequential(LastStates(), nn.Linear(2 * cells, embedding_size), nn.ReLU()),
            ]
        )
        self.embedding_size = embedding_size
        self.pool = nn.Identity()
