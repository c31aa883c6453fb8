"""Decides which values of an image are black and white: any depth -> 8 bits. Only this file holds the rule.

1. What the file says: SMinSampleValue and SMaxSampleValue of a TIFF; else its bits per sample, if its values use them.
2. Whole numbers that use less than that: the smallest of 8, 12, 16, 24 or 32 bits that holds all values of the image;
   with a sign, the smallest of 8, 12, 13, 16, 24 or 32 bits, with 0 in the middle.
3. Floats: 0 to 1, 0 to 255 or 0 to 65535, whichever is the first that holds all values; with negative ones -1 to 1,
   -255 to 255 or -65535 to 65535; beyond, from the image's own smallest value to its largest.
Ranges by 2 and 3 are remarked as guessed. Since the images of one table would get different ranges, a training takes
the largest of them for all images without a sign, and stores it (`image.white`); values above are white, and remarked.
NaN is black.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.remarks import Remark, remark

DEEP = ("I", "F")  # first letters of the modes of more than 8 bits
SMALLEST, LARGEST, BITS = 340, 341, 258  # TIFF tags
UNSIGNED, SIGNED = (8, 12, 16, 24, 32), (8, 12, 13, 16, 24, 32)
FLOATS = (1.0, 255.0, 65535.0)
BAND_PIXELS = 1_000_000  # pixels converted at once, so that a large image is never in memory in a wider type


class Scale(NamedTuple):
    """The values that become 0 and 255."""

    black: float
    white: float


def is_deep(image: Image.Image) -> bool:
    """Returns whether the image has more than 8 bits."""
    return image.mode.startswith(DEEP)


def bands(height: int, width: int, multiple: int = 1) -> Iterator[tuple[int, int]]:
    """Yields (top, bottom) of bands of an image, whose height, except the last, is a multiple of `multiple` rows."""
    rows = max(BAND_PIXELS // max(width, 1) // multiple, 1) * multiple
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def scale_of(image: Image.Image, white: float | None = None) -> Scale:
    """Returns the scale of a deep image; remarks where it is guessed, or exceeds the `white` given for such."""
    parts = (image.crop((0, top, image.width, bottom)) for top, bottom in bands(image.height, image.width))
    extremes = [_extremes(np.asarray(part)) for part in parts]
    tags: Any = getattr(image, "tag_v2", {})
    said = [tags.get(SMALLEST), tags.get(LARGEST)]
    said = [value[0] if isinstance(value, tuple) else value for value in said]
    if said[0] is not None and said[1] is not None and said[1] > said[0]:
        return Scale(float(said[0]), float(said[1]))
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    if white is not None and low >= 0:
        if high > white:
            remark(Remark.BEYOND)
        return Scale(0.0, white)
    bits = tags.get(BITS, (16 if image.format == "PNG" or image.mode.startswith("I;16") else 32,))[0]
    return guess_scale(low, high, image.mode != "F", bits)


def guess_scale(low: float, high: float, whole: bool, bits: int) -> Scale:
    """Applies rules 2 and 3 to values from `low` to `high`; `bits` is what the file declares of whole numbers."""
    if not whole:
        remark(Remark.GUESSED)
        bound = next((x for x in FLOATS if high <= x and low >= (-x if low < 0 else 0)), None)
        if bound is None:
            return Scale(low, high)
        return Scale(-bound if low < 0 else 0.0, bound)
    if low < 0:
        found = next(b for b in SIGNED if -(2 ** (b - 1)) <= low and high < 2 ** (b - 1))
        scale = Scale(-(2.0 ** (found - 1)), 2.0 ** (found - 1) - 1)
    else:
        found = bits if high >= 2 ** (bits - 1) else next((b for b in UNSIGNED if high < 2**b), bits)
        scale = Scale(0.0, 2.0 ** min(found, bits) - 1)
    if found < bits:
        remark(Remark.GUESSED)
    return scale


def to_eight_bits(values: NDArray[Any], scale: Scale) -> NDArray[np.uint8]:
    """Converts values of any type and shape; whole numbers lose their low bits, floats are rounded."""
    wide = max(scale.white - scale.black, np.finfo(np.float64).tiny)
    if np.issubdtype(values.dtype, np.integer):
        found = np.floor((values.astype(np.float64) - scale.black) * (256 / (wide + 1)))
    else:
        known = np.nan_to_num(values.astype(np.float64), nan=scale.black, posinf=scale.white, neginf=scale.black)
        found = np.rint((known - scale.black) * (255 / wide))
    return found.clip(0, 255).astype(np.uint8)


def _extremes(values: NDArray[Any]) -> tuple[float, float]:
    if np.issubdtype(values.dtype, np.floating):
        values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if values.size else (0.0, 0.0)
