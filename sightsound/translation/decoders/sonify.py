"""Plays an image as a spectrogram, and draws a sound as one: columns are time, rows are tones spaced as mel bands.

Nothing is trained, and an image is preserved by the round trip (after Meijer, An Experimental System for Auditory Image
Representations, 1992). It is the baseline of trained translation.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.features.audio import hz_to_mel, mel_to_hz

COLUMN_SECONDS = 0.05
LOWEST_HZ, HIGHEST_SHARE = 100.0, 0.475  # of the sample rate
RANGE_DB = 48.0  # from white to the darkest audible grey; black is silent


def sonify(pixels: NDArray[np.uint8], sample_rate_hz: int) -> NDArray[np.float32]:
    """(H, W) -> (N,): every row is a tone, the top one the highest, as loud as the image is bright."""
    height, width = pixels.shape
    level = torch.from_numpy(pixels.astype(np.float64)) / 255
    loud = torch.where(level > 0, 10 ** ((level - 1) * RANGE_DB / 20), 0.0)
    hop = round(COLUMN_SECONDS * sample_rate_hz)
    time = torch.arange(width * hop, dtype=torch.float64) / sample_rate_hz
    phases = 2 * torch.pi * torch.rand(height, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    wave = torch.zeros_like(time)
    envelope = torch.nn.functional.interpolate(loud[None], size=len(time), mode="nearest")[0]
    for tone, phase, of_row in zip(tones(height, sample_rate_hz), phases, envelope, strict=True):
        wave += of_row * torch.sin(2 * torch.pi * tone * time + phase)
    return (wave * _scale(height)).clamp(-1, 1).float().numpy()


def picture(wave: NDArray[np.float32], sample_rate_hz: int, height: int, width: int | None = None) -> NDArray[np.uint8]:
    """(N,) -> (H, W): the loudness of each tone over time; W is the length of the sound unless it is given."""
    hop = round(COLUMN_SECONDS * sample_rate_hz)
    width = width or max(len(wave) // hop, 1)
    sound = torch.from_numpy(wave.astype(np.float64))
    sound = torch.nn.functional.pad(sound, (0, max(width * hop - len(sound), 0)))
    frames = sound.unfold(0, hop, hop)[:width]  # (W, hop), a column each
    window = torch.hann_window(hop, dtype=torch.float64)
    time = torch.arange(hop, dtype=torch.float64) / sample_rate_hz
    turns = 2 * torch.pi * time[:, None] * tones(height, sample_rate_hz)
    waves = torch.polar(window[:, None].expand_as(turns), -turns)
    loud = (frames.to(waves.dtype) @ waves).abs().T * 2 / window.sum() / _scale(height)
    level = 1 + 20 * loud.clamp_min(1e-12).log10() / RANGE_DB
    return (255 * level.clamp(0, 1)).round().to(torch.uint8).numpy()


def tones(height: int, sample_rate_hz: int) -> Tensor:
    """Returns the tones (H,) in Hz, the highest first."""
    high, low = hz_to_mel(HIGHEST_SHARE * sample_rate_hz), hz_to_mel(LOWEST_HZ)
    return mel_to_hz(torch.linspace(high, low, height, dtype=torch.float64))


def _scale(height: int) -> float:
    """Returns the amplitude of a white pixel's tone, with which the sum of all rarely exceeds full scale."""
    return 1 / (4 * math.sqrt(height))
