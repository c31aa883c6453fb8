"""Reads files and interpolates their damaged parts: gaps are found by rule, or given by a mask; `files` decodes.

A file without any valid part raises `NothingLeftError`: that modality is missing, not damaged.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.depth import bands, is_deep, scale_of
from sightsound.data.images import (
    FINER,
    GivenImage,
    Pixels,
    eight_bits,
    fit_to_size,
    open_image,
    orientation_of,
    picture_of,
    shrink_factor,
    turn_upright,
)
from sightsound.data.opened import as_path, decoder_errors, name_of, ordinary_file
from sightsound.data.sounds import GivenSound, excerpt
from sightsound.data.waveforms import Waveform, mix_to_mono, waveform
from sightsound.errors import FileError, NothingLeftError
from sightsound.missing.gaps import Gaps, audio_gaps, image_gaps
from sightsound.missing.signals import Interpolated, interpolate_audio, interpolate_image

MOST_PIXELS = 250_000  # largest image that is interpolated; a larger one is reduced by block means first


class Mended(NamedTuple):
    """A decoded file, as `read` of the modality returns it, and what was interpolated in it."""

    values: NDArray[Any]
    share: float
    uncertainty: float


def read_interpolated_image(
    given: GivenImage,
    height: int,
    width: int,
    channels: int,
    repair: str,
    image_mask: str = "",
    white: float | None = None,
) -> Pixels:
    """Reads as `files.read_image` does and interpolates by the method `repair`. Raises FileError, of masks too."""
    return mended_image(given, height, width, channels, repair, image_mask, white).values


def image_damage(
    given: GivenImage,
    height: int,
    width: int,
    channels: int,
    repair: str,
    image_mask: str = "",
    white: float | None = None,
) -> NDArray[np.float64]:
    """Returns (share, uncertainty) of what `read_interpolated_image` interpolates."""
    whole = _image(given, height, width, repair, image_mask, white)
    return np.array([whole.share, whole.uncertainty])


def mended_image(
    given: GivenImage,
    height: int,
    width: int,
    channels: int,
    repair: str,
    image_mask: str = "",
    white: float | None = None,
) -> Mended:
    """Returns the decoded file and what was interpolated in it, in one pass."""
    whole = _image(given, height, width, repair, image_mask, white)
    return Mended(fit_to_size(picture_of(whole.values), height, width, channels), whole.share, whole.uncertainty)


def _image(given: GivenImage, height: int, width: int, repair: str, mask: str, white: float | None) -> Interpolated:
    name = name_of(given)
    pixels, gaps, share = _small(given, height, width, mask, white)
    found = image_gaps(pixels) & ~gaps
    gaps |= found
    if gaps.all():
        raise NothingLeftError(name, "every pixel is masked or transparent")
    factor = max(min(pixels.shape[0] // (FINER * height), pixels.shape[1] // (FINER * width)), 1)
    down = across = factor
    if pixels.shape[0] * pixels.shape[1] > MOST_PIXELS * factor**2:
        down, across = max(pixels.shape[0] // (FINER * height), 1), max(pixels.shape[1] // (FINER * width), 1)
    small, left, _ = _shrunk(pixels, gaps, down, across)
    return interpolate_image(small, left, repair)._replace(share=share + float(found.mean()))


def _small(given: GivenImage, height: int, width: int, mask: str, white: float | None) -> tuple[Pixels, Gaps, float]:
    """Returns an upright, reduced image: pixels (H, W, channels), which blocks are wholly damaged, damaged share."""
    with contextlib.ExitStack() as opened:
        image = opened.enter_context(open_image(given))
        with decoder_errors(given, "image"):
            image.load()
            orientation = orientation_of(image)
            scale = scale_of(image, white) if is_deep(image) else None
        masked = _masked(mask, image, orientation, name_of(given)) if mask else None
        turn = (width, height) if orientation >= 5 else (height, width)
        factor = shrink_factor(image, *turn)
        size = image.height // factor * factor, image.width // factor * factor
        parts = []
        with decoder_errors(given, "image"):
            for top, bottom in bands(size[0], size[1], factor) if factor > 1 else [(0, image.height)]:
                band = image if factor == 1 else image.crop((0, top, size[1], bottom))
                flat = eight_bits(band, scale)
                pixels = np.asarray(flat if flat.mode == "L" else flat.convert("RGB")).reshape(*band.size[::-1], -1)
                gaps = _unseen(band) | (False if masked is None else masked[top:bottom, : size[1]])
                parts.append(_shrunk(pixels, gaps, factor, factor))
        pixels, gaps = (np.concatenate(of) for of in list(zip(*parts, strict=True))[:2])
        share = sum(part[2] for part in parts) / (size[0] * size[1])
    return _turned(pixels, orientation), _turned(gaps, orientation), share


def _turned(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turns (H, W) or (H, W, channels) upright."""
    if orientation == 1:
        return values
    flip = {2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    values = values.swapaxes(0, 1) if orientation >= 5 else values
    return np.ascontiguousarray(values[:: -1 if flip[0] else 1, :: -1 if flip[1] else 1])


def _unseen(image: Image.Image) -> Gaps:
    """Returns where an image itself marks pixels as invalid: transparent, or not a number."""
    if image.mode == "F":
        return np.asarray(~np.isfinite(np.asarray(image)))
    if "A" in image.mode or "a" in image.mode or "transparency" in image.info:
        return np.asarray(np.asarray(image.convert("RGBA"))[..., 3] == 0)
    return np.zeros((image.height, image.width), bool)


def _masked(mask: str, image: Image.Image, orientation: int, name: str) -> Gaps:
    """Returns where a mask is not black, in the orientation of the image before it is turned upright."""
    with open_image(mask) as masked, decoder_errors(mask, "mask"):
        masked.load()
        scale = scale_of(masked) if is_deep(masked) else None
        upright = turn_upright(eight_bits(masked, scale).convert("L"), orientation_of(masked))
        size = image.size[::-1] if orientation >= 5 else image.size
        if upright.size != size:
            mask_size, image_size = (f"{width} x {height}" for width, height in (upright.size, size))
            raise FileError(mask, f"the mask has {mask_size} pixels, and its image {name} has {image_size}")
        back = {6: 8, 8: 6}.get(orientation, orientation)
        return np.asarray(turn_upright(upright, back)) > 0


def _shrunk(pixels: Pixels, gaps: Gaps, down: int, across: int) -> tuple[Pixels, Gaps, int]:
    """Returns means of each block's valid pixels, which blocks are wholly damaged, the number of damaged pixels."""
    lost = int(gaps.sum())
    if down == across == 1:
        return pixels, gaps, lost
    height, width = gaps.shape[0] // down, gaps.shape[1] // across

    def blocks(values: NDArray[Any]) -> NDArray[Any]:
        cut = values[: height * down, : width * across]
        return cut.reshape(height, down, width, across, *cut.shape[2:])

    good = ~blocks(gaps)[..., None]
    count = good.sum((1, 3))
    mean = (blocks(pixels) * good).sum((1, 3), dtype=np.uint32) / np.maximum(count, 1)
    return np.rint(mean).astype(np.uint8), count[..., 0] == 0, lost


def read_interpolated_audio(
    given: GivenSound,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> Waveform:
    """Reads as `files.read_audio` does and interpolates by the method `repair`. Raises FileError, of masks too."""
    return mended_audio(given, sample_rate_hz, clip_seconds, repair, crop, start_seconds, audio_mask).values


def audio_damage(
    given: GivenSound,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> NDArray[np.float64]:
    """Returns (share, uncertainty) of what `read_interpolated_audio` interpolates."""
    whole, _ = _audio(given, clip_seconds, repair, crop, start_seconds, audio_mask)
    return np.array([whole.share, whole.uncertainty])


def mended_audio(
    given: GivenSound,
    sample_rate_hz: int,
    clip_seconds: float,
    repair: str,
    crop: str = "start",
    start_seconds: float = 0.0,
    audio_mask: str = "",
) -> Mended:
    """Returns the decoded file and what was interpolated in it, in one pass."""
    whole, rate_hz = _audio(given, clip_seconds, repair, crop, start_seconds, audio_mask)
    wave = waveform(whole.values, rate_hz, sample_rate_hz, clip_seconds, crop, name_of(given))
    return Mended(wave, whole.share, whole.uncertainty)


def _audio(
    given: GivenSound, clip_seconds: float, repair: str, crop: str, start_seconds: float, mask: str
) -> tuple[Interpolated, float]:
    samples, rate_hz, start, name = excerpt(given, clip_seconds, crop, start_seconds)
    mono = mix_to_mono(samples, name)
    gaps = audio_gaps(mono, round(rate_hz))
    for first, last in _masked_seconds(mask, name):
        gaps[max(round((first - start) * rate_hz), 0) : max(round((last - start) * rate_hz), 0)] = True
    if gaps.all():
        raise NothingLeftError(name, "every sample is masked or not a number")
    return interpolate_audio(mono, round(rate_hz), gaps, repair), rate_hz


def _masked_seconds(mask: str, name: str) -> NDArray[np.float64]:
    """Reads (gaps, 2), the start and end of each gap in seconds."""
    if not mask:
        return np.zeros((0, 2))
    if not os.path.exists(as_path(mask)):
        raise FileError(mask, f"the mask of {name} does not exist")
    path = ordinary_file(mask)
    try:
        found = pd.read_csv(path)[["start_seconds", "end_seconds"]].to_numpy(np.float64)
    except (OSError, ValueError, KeyError) as error:
        wanted = "a CSV file with the columns start_seconds and end_seconds"
        raise FileError(mask, f"the mask of {name} is not {wanted} ({error})") from error
    wrong = np.flatnonzero(~((found[:, 0] >= 0) & (found[:, 1] > found[:, 0])))
    if len(wrong):
        raise FileError(mask, f"the mask of {name} has a gap from {found[wrong[0], 0]} to {found[wrong[0], 1]} s")
    return found
