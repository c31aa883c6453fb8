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
    mixed,
    name_of,
    open_image,
    picture_of,
    read_samples,
    upright,
    waveform_from_array,
)
from sightsound.errors import FileError, NothingLeftError
from sightsound.missing.gaps import Gaps, audio_gaps, image_gaps
from sightsound.missing.repair import Repaired, repair_audio, repair_image

Sound = tuple[NDArray[Any], int]  # samples (N,) or (N, channels), and their rate in Hz
FINER = 2  # times the size that is asked for, at which larger images are repaired


def read_repaired_image(
    given: Source | NDArray[np.uint8], height: int, width: int, channels: int, repair: str, image_mask: str = ""
) -> Pixels:
    """Same as `files.read_image`, repaired by the method `repair`; also of pixels. Raises FileError, of masks too."""
    whole = _image(given, height, width, repair, image_mask)
    return fitted(picture_of(whole.values), height, width, channels)


def image_damage(
    given: Source | NDArray[np.uint8], height: int, width: int, channels: int, repair: str, image_mask: str = ""
) -> NDArray[np.float64]:
    """(share, uncertainty) of what `read_repaired_image` fills in."""
    whole = _image(given, height, width, repair, image_mask)
    return np.array([whole.share, whole.uncertainty])


def _image(given: Source | NDArray[np.uint8], height: int, width: int, repair: str, mask: str) -> Repaired:
    name = name_of(given)
    with picture_of(given) if isinstance(given, np.ndarray) else open_image(given) as image, decoding(name, "image"):
        image.load()
        turned = upright(image)
        flat = eight_bits(turned)
        gaps = _unseen(turned)
        pixels = np.asarray(flat if flat.mode == "L" else flat.convert("RGB"))
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    gaps = gaps | _masked(mask, gaps.shape, name) | image_gaps(pixels)
    if gaps.all():
        raise NothingLeftError(name, "every pixel is masked or transparent")
    factor = max(min(pixels.shape[0] // (FINER * height), pixels.shape[1] // (FINER * width)), 1)
    return repair_image(*_shrunk(pixels, gaps, factor), repair)._replace(share=float(gaps.mean()))


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
    given: Source | Sound,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> Waveform:
    """Same as `files.read_audio`, repaired by the method `repair`; also of samples. Raises FileError, of masks too."""
    whole, rate_hz = _audio(given, clip_seconds, repair, crop, start_seconds, audio_mask)
    return waveform_from_array(whole.values, rate_hz, sample_rate_hz, clip_seconds, crop)


def audio_damage(
    given: Source | Sound,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> NDArray[np.float64]:
    """(share, uncertainty) of what `read_repaired_audio` fills in."""
    whole, _ = _audio(given, clip_seconds, repair, crop, start_seconds, audio_mask)
    return np.array([whole.share, whole.uncertainty])


def _audio(
    given: Source | Sound, clip_seconds: float, repair: str, crop: str, start_seconds: float, mask: str
) -> tuple[Repaired, int]:
    if isinstance(given, tuple):
        name, (samples, rate_hz) = "array", given
        start, samples = start_seconds, samples[round(start_seconds * rate_hz) :]
    else:
        name, (samples, rate_hz, start) = name_of(given), read_samples(given, clip_seconds, crop, start_seconds)
    mono = mixed(samples, rate_hz, name)
    gaps = audio_gaps(mono, rate_hz)
    for first, last in _masked_seconds(mask, name):
        gaps[max(round((first - start) * rate_hz), 0) : max(round((last - start) * rate_hz), 0)] = True
    if gaps.all():
        raise NothingLeftError(name, "every sample is masked or not a number")
    return repair_audio(mono, rate_hz, gaps, repair), rate_hz


def _masked_seconds(mask: str, name: str) -> NDArray[np.float64]:
    """(gaps, 2) start and end in seconds."""
    if not mask:
        return np.zeros((0, 2))
    try:
        found = pd.read_csv(mask)[["start_seconds", "end_seconds"]].to_numpy(np.float64)
    except FileNotFoundError as error:
        raise FileError(mask, f"the mask of {name} does not exist") from error
    except (OSError, ValueError, KeyError) as error:
        wanted = "a CSV file with the columns start_seconds and end_seconds"
        raise FileError(mask, f"the mask of {name} is not {wanted} ({error})") from error
    wrong = np.flatnonzero(~((found[:, 0] >= 0) & (found[:, 1] > found[:, 0])))
    if len(wrong):
        raise FileError(mask, f"the mask of {name} has a gap from {found[wrong[0], 0]} to {found[wrong[0], 1]} s")
    return found
