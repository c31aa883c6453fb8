"""Waveforms as log-mel frames: (B, N) float -> (B, T, F) natural log of mel power; a part of the network."""

import math

import torch
from torch import Tensor, nn

FLOOR = 1e-5  # of mel power; about 90 dB below a full-scale tone


class LogMel(nn.Module):
    """Log-mel spectrogram, equal to librosa's (Slaney mel scale and norm, power 2) with natural log.

    The sound is padded so that N samples give exactly N / hop frames, each centred on its hop.

    Args:
        sample_rate_hz: sample rate of the waveform.
        clip_seconds: length of the waveform.
        window_ms: length of a Hann window.
        hop_ms: step between frames.
        mel_bins: number of mel bands, from 0 Hz to half the sample rate.
    """

    window: Tensor
    mel: Tensor
    decibel = math.log(10) / 10  # by which the frames change where the sound is 1 dB louder

    def __init__(
        self, sample_rate_hz: int, clip_seconds: float, window_ms: float, hop_ms: float, mel_bins: int
    ) -> None:
        super().__init__()
        self.size = max(round(sample_rate_hz * window_ms / 1000), 2)
        self.hop = hop_samples(sample_rate_hz, hop_ms)
        self.samples = round(sample_rate_hz * clip_seconds)
        self.frames = frames(sample_rate_hz, clip_seconds, hop_ms)
        self.register_buffer("window", torch.hann_window(self.size), persistent=False)
        self.register_buffer("mel", mel_matrix(sample_rate_hz, self.size, mel_bins), persistent=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Returns (T, F) of the result."""
        return self.frames, self.mel.shape[1]

    def pad(self, wave: Tensor) -> Tensor:
        """(B, N) -> (B, (T - 1) * hop + window), with silence on both sides."""
        missing = (self.frames - 1) * self.hop + self.size - self.samples
        left = missing // 2
        return nn.functional.pad(wave, (left, missing - left))

    def forward(self, wave: Tensor) -> Tensor:
        """(B, N) in [-1, 1] -> (B, T, F)."""
        spectrum = torch.stft(
            self.pad(wave), self.size, self.hop, window=self.window, center=False, return_complex=True
        )
        power = spectrum.real.square() + spectrum.imag.square()  # (B, size // 2 + 1, T)
        return torch.log((power.transpose(1, 2) @ self.mel).clamp_min(FLOOR))


def hop_samples(sample_rate_hz: int, hop_ms: float) -> int:
    """Returns the step between frames, in samples."""
    return max(round(sample_rate_hz * hop_ms / 1000), 1)


def frames(sample_rate_hz: int, clip_seconds: float, hop_ms: float) -> int:
    """Returns T of a clip, known before anything is allocated for it."""
    return max(round(round(sample_rate_hz * clip_seconds) / hop_samples(sample_rate_hz, hop_ms)), 1)


def mel_matrix(
    sample_rate_hz: int, window: int, bins: int, lowest_hz: float = 0.0, highest_hz: float | None = None
) -> Tensor:
    """Builds (window // 2 + 1, bins): triangular mel filters, each of area 1 (Slaney, Auditory Toolbox, 1998).

    They lie from `lowest_hz` to `highest_hz`, by default half the sample rate.
    """
    ends = hz_to_mel(lowest_hz), hz_to_mel(sample_rate_hz / 2 if highest_hz is None else highest_hz)
    edges = mel_to_hz(torch.linspace(*ends, bins + 2, dtype=torch.float64))
    frequencies = torch.arange(window // 2 + 1, dtype=torch.float64)[:, None] * sample_rate_hz / window
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    return (torch.minimum(rising, falling).clamp_min(0) * 2 / (high - low)).float()


_LINEAR_HZ = 200 / 3  # below 1 kHz a mel is so many Hz ...
_LOG_STEP = math.log(6.4) / 27  # ... above it, this step in log frequency


def hz_to_mel(hz: float) -> float:
    """Converts Hz to mel on Slaney's scale."""
    return hz / _LINEAR_HZ if hz < 1000 else 15 + math.log(hz / 1000) / _LOG_STEP


def mel_to_hz(mel: Tensor) -> Tensor:
    """Converts mel to Hz, the inverse of `hz_to_mel`."""
    return torch.where(mel < 15, mel * _LINEAR_HZ, 1000 * torch.exp((mel - 15) * _LOG_STEP))
