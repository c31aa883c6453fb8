"""Log-mel frames as YAMNet takes them: (B, N) waveforms at 16 kHz -> (B, T, F)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

RATE, FFT, SIZE, HOP = 16_000, 512, 400, 160  # 25 ms windows every 10 ms
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
OFFSET = 0.001  # added to magnitudes before the logarithm


class YamnetFrames(nn.Module):
    """Logarithms of mel magnitudes, as YAMNet's published front end computes them.

    Silence at the end completes the last window of the network, as in the published one.

    Args:
        samples: N.
        bins: the number of mel bins, F.
        window: frames that an embedding sees.
        step: frames from one window to the next.
    """

    window: Tensor
    mel: Tensor
    decibel = math.log(10) / 20  # by which the frames change where the sound is 1 dB louder, and well above OFFSET

    def __init__(self, samples: int, bins: int, window: int, step: int) -> None:
        super().__init__()
        frames = max(1 + (samples - SIZE) // HOP, 0)
        frames = window + -(-max(frames - window, 0) // step) * step
        self.shape = (frames, bins)
        self.silence = SIZE + (frames - 1) * HOP - samples
        self.register_buffer("window", torch.hann_window(SIZE), persistent=False)
        self.register_buffer("mel", htk_mel_matrix(bins), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """(B, N) in [-1, 1] -> (B, T, F)."""
        beside = (FFT - SIZE) // 2  # of each frame, where torch centres the window
        padded = nn.functional.pad(wave, (beside, beside + self.silence))
        spectrum = torch.stft(padded, FFT, HOP, SIZE, self.window, center=False, return_complex=True)
        return torch.log(spectrum.abs().transpose(1, 2) @ self.mel + OFFSET)


def htk_mel_matrix(bins: int) -> Tensor:
    """Builds (FFT // 2 + 1, bins): filters that are triangles over mels as HTK defines them, each of height 1."""

    def mels(hz: Tensor) -> Tensor:
        return 1127 * torch.log1p(hz / 700)

    lowest, highest = mels(torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)).tolist()
    low, centre, high = torch.linspace(lowest, highest, bins + 2, dtype=torch.float64).unfold(0, bins, 1)
    x = mels(torch.arange(FFT // 2 + 1, dtype=torch.float64)[:, None] * RATE / FFT)
    return torch.minimum((x - low) / (centre - low), (high - x) / (high - centre)).clamp_min(0).float()
