"""Files read with their damaged parts filled in: gaps are found by rule, or given by a mask; `files` opens and decodes.

A file of which nothing is left raises `NothingLeftError`: that sense is missing, not damaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.files import (
    Pixels,
    Source,
    Waveform,
    decoding,
    eight_bits,
    fitted,
    name_of,
    open_image,
    read_samples,
    upright,
    waveform_from_array,
)
from sightsound.errors import FileError, NothingLeftError
from sightsound.missing.gaps import Gaps, audio_gaps, image_gaps
from sightsound.missing.repair import Repaired, repair_audio, repair_image

FINER = 2  # times the size that is asked for, at which larger images are repaired


def read_repaired_image(
    source: Source, height: int, width: int, channels: int, repair: str, image_mask: str = ""
) -> Pixels:
    """Same as `files.read_image`, repaired by the method `repair`. Raises FileError, for the mask too."""
    whole = _image(source, height, width, repair, image_mask)
    return fitted(Image.fromarray(whole.values.squeeze()), height, width, channels)


def image_damage(
    source: Source, height: int, width: int, channels: int, repair: str, image_mask: str = ""
) -> NDArray[np.float64]:
    """(share, uncertainty) of what `read_repaired_image` fills in."""
    whole = _image(source, height, width, repair, image_mask)
    return np.array([whole.share, whole.uncertainty])


def _image(source: Source, height: int, width: int, repair: str, mask: str) -> Repaired:
    with open_image(source) as image, decoding(source, "image"):
        image.load()
        turned = upright(image)
        flat = eight_bits(turned)
        gaps = _unseen(turned)
        pixels = np.asarray(flat if flat.mode == "L" else flat.convert("RGB"))
    return repaired_pixels(pixels, gaps | _masked(mask, gaps.shape, name_of(source)), height, width, repair, source)


def repaired_pixels(pixels: Pixels, gaps: Gaps, height: int, width: int, repair: str, source: Source = b"") -> Repaired:
    """Pixels (H, W[, channels]), repaired where `gaps` (H, W) and the rules say so. Raises NothingLeftError."""
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    gaps = gaps | image_gaps(pixels)
    if gaps.all():
        raise NothingLeftError(name_of(source), "every pixel is masked or transparent")
    factor = max(min(pixels.shape[0] // (FINER * height), pixels.shape[1] // (FINER * width)), 1)
    share = float(gaps.mean())
    return repair_image(*_shrunk(pixels, gaps, factor), repair)._replace(share=share)


def _unseen(image: Image.Image) -> Gaps:
    """Where an image says itself that there is nothing: transparent, or not a number."""
    if image.mode == "F":
        return np.asarray(~np.isfinite(np.asarray(image)))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return np.asarray(np.asarray(image.convert("RGBA"))[..., 3] == 0)
    return np.zeros((image.height, image.width), bool)


def _masked(mask: str, shape: tuple[int, ...], name: str) -> Gaps:
    if not mask:
        return np.zeros(shape, bool)
    with open_image(mask) as image, decoding(mask, "mask"):
        gaps = np.asarray(eight_bits(upright(image)).convert("L")) > 0
    if gaps.shape != shape:
        size, other = (f"{width} x {height}" for height, width in (gaps.shape, shape))
        raise FileError(mask, f"the mask has {size} pixels, and its image {name} has {other}")
    return gaps


def _shrunk(pixels: Pixels, gaps: Gaps, factor: int) -> tuple[Pixels, Gaps]:
    """Means of blocks of pixels, without those that are damaged."""
    if factor == 1:
        return pixels, gaps
    height, width = (side // factor for side in gaps.shape)

    def blocks(values: NDArray[Any]) -> NDArray[Any]:
        cut = values[: height * factor, : width * factor]
        return cut.reshape(height, factor, width, factor, *cut.shape[2:])

    good = ~blocks(gaps)[..., None]
    count = good.sum((1, 3))
    mean = (blocks(pixels) * good).sum((1, 3)) / np.maximum(count, 1)
    return np.rint(mean).astype(np.uint8), count[..., 0] == 0


def read_repaired_audio(
    source: Source,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> Waveform:
    """Same as `files.read_audio`, repaired by the method `repair`. Raises FileError, for the mask too."""
    whole, rate_hz = _audio(source, clip_seconds, repair, crop, start_seconds, audio_mask)
    return waveform_from_array(whole.values, rate_hz, sample_rate_hz, clip_seconds, crop, name_of(source))


def audio_damage(
    source: Source,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> NDArray[np.float64]:
    """(share, uncertainty) of what `read_repaired_audio` fills in."""
    whole, _ = _audio(source, clip_seconds, repair, crop, start_seconds, audio_mask)
    return np.array([whole.share, whole.uncertainty])


def _audio(
    source: Source, clip_seconds: float, repair: str, crop: str, start_seconds: float, mask: str
) -> tuple[Repaired, int]:
    sound = read_samples(source, clip_seconds, crop, start_seconds)
    gaps = np.zeros(len(sound.samples), bool)
    for first, last in _masked_seconds(mask, name_of(source)):
        places = [max(round((t - sound.start_seconds) * sound.rate_hz), 0) for t in (first, last)]
        gaps[places[0] : places[1]] = True
    return repaired_samples(sound.samples, sound.rate_hz, gaps, repair, source), sound.rate_hz


def repaired_samples(samples: NDArray[Any], rate_hz: int, gaps: Gaps, repair: str, source: Source = b"") -> Repaired:
    """Samples (N[, channels]) as mono, repaired where `gaps` (N,) and the rules say so. Raises NothingLeftError."""
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    gaps = gaps | audio_gaps(mono, rate_hz)
    if len(gaps) and gaps.all():
        raise NothingLeftError(name_of(source), "every sample is masked or not a number")
    return repair_audio(mono, rate_hz, gaps, repair)


def _masked_seconds(mask: str, name: str) -> NDArray[np.float64]:
    """(gaps, 2) start and end in seconds."""
    if not mask:
        return np.zeros((0, 2))
    try:
        found = pd.read_csv(mask)[["start_seconds", "end_seconds"]].to_numpy(np.float64)
    except (OSError, ValueError, KeyError) as error:
        wanted = "a CSV file with the columns start_seconds and end_seconds"
        raise FileError(mask, f"the mask of {name} is not {wanted} ({error})") from error
    wrong = np.flatnonzero(~((found[:, 0] >= 0) & (found[:, 1] > found[:, 0])))
    if len(wrong):
        raise FileError(mask, f"the mask of {name} has a gap from {found[wrong[0], 0]} to {found[wrong[0], 1]} s")
    return found
