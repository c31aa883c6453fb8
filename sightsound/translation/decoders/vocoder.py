"""Vocoders: (B, T, F) natural log of mel power -> waveforms (B, N)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sightsound.features.audio import FLOOR, LogMel

MEL_STEPS = 60  # iterations to a spectrum with these mel bands
PHASE_STEPS = 32  # iterations to consistent phases
MOMENTUM = 0.99
SILENT = FLOOR * 1.5  # mel power up to here is silence, at the floor of the logarithm


class Vocoder(nn.Module):
    """Base class. A subclass is built from the spectrogram that it inverts.

    Args:
        log_mel: the module that computed the frames.
    """

    def __init__(self, log_mel: LogMel) -> None:
        super().__init__()
        self.log_mel = log_mel

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, F) -> (B, N) in [-1, 1]."""
        raise NotImplementedError


class GriffinLim(Vocoder):
    """Inverts log-mel frames without training: the spectrum by non-negative least squares, then its phases.

    It uses multiplicative updates (Lee & Seung, NIPS 2000), then fast Griffin-Lim (Perraudin et al., WASPAA 2013).
    """

    @torch.no_grad()
    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, F) -> (B, N) in [-1, 1]."""
        mel = frames.float().exp()
        magnitude = self._spectrum(torch.where(mel > SILENT, mel, 0)).sqrt().transpose(1, 2)  # (B, size // 2 + 1, T)
        noise = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0)).to(magnitude.device)
        guess = torch.polar(torch.ones_like(magnitude), 2 * torch.pi * noise)
        before = torch.zeros_like(guess)
        for _ in range(PHASE_STEPS):
            consistent = self._stft(self._istft(magnitude * guess))
            guess = consistent + MOMENTUM * (consistent - before)
            guess = guess / guess.abs().clamp_min(1e-12)
            before = consistent
        wave = self._istft(magnitude * guess)
        half = self.log_mel.hop // 2  # the first frame is centred half a hop after the start
        wave = functional.pad(wave, (half, self.log_mel.samples - wave.shape[1] - half))
        return wave / wave.abs().amax(1, keepdim=True).clamp_min(1)

    def _spectrum(self, mel: Tensor) -> Tensor:
        """Mel power (B, T, F) -> power (B, T, size // 2 + 1), nowhere negative."""
        matrix = self.log_mel.mel  # (size // 2 + 1, F)
        wanted = mel @ matrix.T
        power = wanted / matrix.sum(1).square().clamp_min(1e-12)
        both = matrix @ matrix.T
        for _ in range(MEL_STEPS):
            power = power * wanted / (power @ both).clamp_min(1e-20)
        return power

    def _stft(self, wave: Tensor) -> Tensor:
        window = self.log_mel.window
        size, hop = self.log_mel.size, self.log_mel.hop
        return torch.stft(wave, size, hop, window=window, pad_mode="constant", return_complex=True)

    def _istft(self, spectrum: Tensor) -> Tensor:
        window = self.log_mel.window
        return torch.istft(spectrum, self.log_mel.size, self.log_mel.hop, window=window)
