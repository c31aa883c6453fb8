"""Interpolates the damaged parts of an image or a sound from its valid parts, which are not changed.

Pixels are interpolated in the image plane. In a sound, gaps of a few samples are interpolated in time; longer ones in
the spectrogram (time x frequency), whose frames are then turned into samples again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation
from torch import Tensor

from sightsound.missing.gaps import Gaps
from sightsound.missing.interpolate import METHODS

SHORT_SECONDS = 0.002  # gaps up to here are interpolated sample by sample
FRAME_SECONDS, OVERLAP = 0.032, 4  # of the spectrogram in which longer gaps are interpolated
USABLE_SHARE = 0.5  # valid share of a frame, weighted by its window, from which on it determines the frame's loudness
PHASE_ROUNDS = 4  # of Griffin & Lim (1984), for phases that fit the samples around a gap
COMPRESSION = 0.3  # power of the amplitude that is interpolated, about loudness
NEAR = 4  # pixels around the gaps from which these are interpolated
EDGE = 64  # known samples on each side from which a short gap is interpolated


class Interpolated(NamedTuple):
    """An array with its gaps interpolated.

    Attributes:
        values: the array, of the same shape and type as given.
        share: the share of its pixels or samples that was interpolated.
        uncertainty: mean over the interpolated ones, from 0 to 1; NaN where the method gives none, or no frame was
            interpolated, since half of every frame around a short gap is known and determines the rest.
    """

    values: NDArray[Any]
    share: float
    uncertainty: float


def interpolate_image(pixels: NDArray[np.uint8], gaps: Gaps, method: str) -> Interpolated:
    """Pixels (H, W, channels), of which some (H, W) are damaged and not all; `method` is linear or gaussian."""
    if not gaps.any():
        return Interpolated(pixels, 0.0, float("nan"))
    wanted = np.argwhere(gaps)
    # pixels far from every gap have no influence on it
    known = ~gaps & binary_dilation(gaps, np.ones((3, 3), bool), NEAR)
    found = METHODS[method](np.argwhere(known), pixels[known].astype(np.float64), wanted)
    whole = pixels.copy()
    whole[gaps] = np.rint(found.values).clip(0, 255).astype(np.uint8)
    return Interpolated(whole, float(gaps.mean()), _mean(found.uncertainty))


def interpolate_audio(samples: NDArray[Any], rate_hz: int, gaps: Gaps, method: str) -> Interpolated:
    """Samples (N,) in [-1, 1], of which some (N,) are damaged and not all; `method` is linear or gaussian."""
    if not gaps.any():
        return Interpolated(samples, 0.0, float("nan"))
    sound = np.where(gaps, 0, samples).astype(np.float64)
    sides = np.flatnonzero(np.diff(np.concatenate([[0], gaps.astype(np.int8), [0]])))
    uncertainties, long = [], gaps.copy()
    for start, stop in sides.reshape(-1, 2):
        if stop - start <= max(SHORT_SECONDS * rate_hz, 1):
            around = np.arange(max(start - EDGE, 0), min(stop + EDGE, len(sound)))
            known, wanted = around[~gaps[around]], np.arange(start, stop)
            found = METHODS[method](known[:, None], sound[known][:, None], wanted[:, None])
            sound[wanted] = found.values[:, 0]
            long[start:stop] = False
            uncertainties += [] if found.uncertainty is None else [found.uncertainty]
    if long.any():
        sound, uncertainty = _filled_spectrogram(sound, rate_hz, long, method)
        uncertainties += [] if uncertainty is None else [uncertainty]
    mean = _mean(np.concatenate(uncertainties) if uncertainties else None)
    return Interpolated(sound.clip(-1, 1).astype(samples.dtype), float(gaps.mean()), mean)


def _filled_spectrogram(
    sound: NDArray[Any], rate_hz: int, gaps: Gaps, method: str
) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Interpolates gaps by frames whose loudness lies between that of the frames around them.

    The lost part of a partly known frame is assumed to be as loud as the rest.
    """
    size = max(OVERLAP * round(FRAME_SECONDS * rate_hz / OVERLAP), OVERLAP)
    hop, window = size // OVERLAP, torch.hann_window(size, dtype=torch.float64)
    known = torch.from_numpy(sound)

    def spectrum_of(samples: Tensor) -> Tensor:
        """(N,) -> (bins, frames), frame k around sample k * hop."""
        return torch.stft(samples, size, hop, window=window, pad_mode="constant", return_complex=True)

    def weight_of(there: Tensor) -> Tensor:
        """(N,) -> (frames,), the share that the squared window passes."""
        return torch.nn.functional.pad(there, (size // 2, size // 2)).unfold(0, size, hop) @ window**2

    spectrum = spectrum_of(known)
    undamaged_share = (weight_of(torch.from_numpy(~gaps).double()) / weight_of(torch.ones_like(known))).numpy()
    damaged, usable = undamaged_share < 1 - 1e-9, undamaged_share >= USABLE_SHARE
    if not usable.any():
        return sound, None
    frames = np.arange(len(damaged), dtype=np.float64)[:, None]
    loudness = (spectrum.abs().numpy().T / np.sqrt(undamaged_share.clip(USABLE_SHARE))[:, None]) ** COMPRESSION
    uncertainty = None
    if not usable.all():
        found = METHODS[method](frames[usable], loudness[usable], frames[~usable])
        loudness[~usable], uncertainty = found.values, found.uncertainty
    wanted = torch.from_numpy(loudness[damaged].T.clip(0) ** (1 / COMPRESSION))
    phase = torch.rand(wanted.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 * torch.pi
    whole = known
    for _ in range(PHASE_ROUNDS):
        spectrum[:, damaged] = torch.polar(wanted, phase)
        imputed = torch.istft(spectrum, size, hop, window=window, length=len(sound))
        whole = torch.where(torch.from_numpy(gaps), imputed, known)
        spectrum = spectrum_of(whole)
        phase = spectrum[:, damaged].angle()
    return whole.numpy(), uncertainty


def _mean(uncertainty: NDArray[Any] | None) -> float:
    return float("nan") if uncertainty is None else float(uncertainty.mean())
