"""Turns samples in memory into a waveform: mixed to mono, resampled, cut or padded, (N,) float32 in 16-bit steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from sightsound.data.remarks import Remark, remark
from sightsound.errors import FileError

Waveform = NDArray[np.float32]

LEAST_SECONDS = 0.01
FULL_SCALE = 32768  # of 16-bit samples
CANCELLED = 1e-3  # share of the energy of all channels, below which their sum counts as cancelled


def waveform_from_array(
    samples: NDArray[Any],
    rate: float,
    sample_rate_hz: int,
    clip_seconds: float,
    crop: str = "start",
    name: str = "array",
) -> Waveform:
    """Does what `files.read_audio` does for samples, (N,) or (N, channels) float at `rate` Hz. Raises FileError."""
    mono = mix_to_mono(samples, name)
    check_length(len(mono), rate, name)
    return waveform(mono, rate, sample_rate_hz, clip_seconds, crop, name)


def waveform(
    mono: NDArray[Any], rate: float, sample_rate_hz: int, clip_seconds: float, crop: str, name: str
) -> Waveform:
    """Resamples (N,) samples of any length and cuts or pads them."""
    if not np.isfinite(mono).all():
        raise FileError(name, f"the sound has NaN or infinite samples, the first at {np.argmin(np.isfinite(mono))}")
    mono = mono.astype(np.float32)
    if rate != sample_rate_hz:
        mono = soxr.resample(mono, rate, sample_rate_hz)
    length = round(clip_seconds * sample_rate_hz)
    start = skipped_samples(len(mono) - length, crop)
    mono = mono[start : start + length]
    peak = float(np.abs(mono).max(initial=0.0))
    mono = mono / peak if peak > 1 else mono
    # in steps of 16 bits, so that what is kept on disk in 16 bits is the same to the bit
    steps = np.rint(mono * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1)
    if not len(steps) or steps.min() == steps.max():
        remark(Remark.CONSTANT)
    steps = np.pad(steps, (0, length - len(steps)))
    return np.asarray(steps / FULL_SCALE, np.float32)


def mix_to_mono(samples: NDArray[Any], name: str) -> NDArray[Any]:
    """(N,) or (N, channels) float -> (N,), their mean; of channels that cancel each other the loudest, and a remark.

    Raises FileError for values that are not a sound.
    """
    if not np.issubdtype(samples.dtype, np.floating) or samples.ndim not in (1, 2) or samples.size == 0:
        raise FileError(name, f"a sound is (N,) or (N, channels) float, not {samples.shape} {samples.dtype}")
    if samples.ndim == 1:
        return samples
    if samples.shape[1] == 1:
        return samples[:, 0]
    mono = samples.mean(axis=1)
    flat = np.ascontiguousarray(samples).reshape(-1)
    energy = float(np.vdot(flat, flat))
    if energy > 0 and samples.shape[1] ** 2 * float(np.vdot(mono, mono)) < CANCELLED * energy:
        remark(Remark.CANCELLED)
        return np.asarray(samples[:, np.argmax((samples**2).sum(axis=0))])
    return np.asarray(mono)


def check_length(samples: int, rate: float, name: str) -> None:
    """Raises FileError for a sound that is too short to be one."""
    if samples < LEAST_SECONDS * rate:
        raise FileError(name, f"the sound is too short: {samples} samples at {rate:g} Hz, under {LEAST_SECONDS} s")


def skipped_samples(spare: int, crop: str) -> int:
    """Returns how many of the surplus samples lie before the clip."""
    return {"start": 0, "center": max(spare, 0) // 2, "end": max(spare, 0)}[crop]
