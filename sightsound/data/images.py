"""Images: a path, bytes, an open image or pixels -> (H, W, channels) uint8. The content decides the format.

A large image is reduced band by band as soon as it is decoded, before anything needs more memory.
"""

from __future__ import annotations

import contextlib
import io
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsound.data import remarks
from sightsound.data.depth import Scale, bands, is_deep, scale_of, to_eight_bits
from sightsound.data.opened import Source, binary, decoder_errors, name_of, stream
from sightsound.data.signatures import HEAD, looks_like
from sightsound.errors import FileError

Pixels = NDArray[np.uint8]
GivenImage = Source | Image.Image | Pixels

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MEGAPIXELS = 64  # a decompression bomb is a small file; the limit is on what it unpacks to
LARGE_PIXELS = 4_000_000  # a larger image is reduced by block means before it is resized
FINER = 2  # times the requested size, down to which blocks may reduce it
ORIENTATION = 0x0112  # the EXIF tag
EXIF = {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"}  # where Pillow finds it
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}


class ImageInfo(NamedTuple):
    """The size in pixels of the upright image, whether it has colour, and which value is white.

    `white` is 0 where the image declares it, or has 8 bits; else the end of the range that its values suggest.
    """

    height: int
    width: int
    colour: bool
    white: float = 0.0


def probe_image(given: GivenImage) -> ImageInfo:
    """Reads size and colour from the header alone; a deep image is decoded for its white. Raises FileError."""
    with open_image(given) as image, decoder_errors(given, "image"):
        width, height = image.size
        if orientation_of(image) >= 5:  # orientations that swap the sides
            width, height = height, width
        return ImageInfo(height, width, image.mode not in GREY_MODES, _white(image) if is_deep(image) else 0.0)


def _white(image: Image.Image) -> float:
    """Returns the white of a deep image; 0 where the image declares it, or has values below 0."""
    with remarks.collect() as found:
        scale = scale_of(image)
    return scale.white if remarks.Remark.GUESSED in found and scale.black == 0 else 0.0


def read_image(given: GivenImage, height: int, width: int, channels: int, white: float | None = None) -> Pixels:
    """Decodes, turns upright (EXIF) and resizes an image.

    GIF and TIFF give their first frame, transparency lies on white, more than 8 bits become 8 (`data.depth`).

    Args:
        given: path or bytes of a PNG, JPEG, WebP, BMP, GIF or TIFF; an image of Pillow; or (H, W) or (H, W, 1, 3 or 4)
            uint8.
        height: height of the result in pixels.
        width: width of the result in pixels.
        channels: 1 grey, 3 colour.
        white: the white of images of more than 8 bits that do not declare it; None: guessed.

    Returns:
        (height, width, channels) uint8.

    Raises:
        FileError: whatever is wrong with the file.
    """
    with open_image(given) as image, decoder_errors(given, "image"):
        if not isinstance(given, Image.Image):  # JPEG decodes at a reduced size; not for the caller's images
            image.draft("L" if channels == 1 else "RGB", (2 * width, 2 * height))
        image.load()
        orientation = orientation_of(image)
        flat = turn_upright(
            _flat(image, *((width, height) if orientation >= 5 else (height, width)), white), orientation
        )
        return fit_to_size(flat, height, width, channels)


def image_from_array(array: NDArray[Any], height: int, width: int, channels: int) -> Pixels:
    """Does what `read_image` does for pixels in memory, (H, W) or (H, W, 1, 3 or 4) uint8. Raises FileError."""
    return read_image(array, height, width, channels)


def picture_of(array: NDArray[Any]) -> Image.Image:
    """Makes an image of pixels in memory, (H, W) or (H, W, 1, 3 or 4) uint8. Raises FileError."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise FileError("array", f"an image is (H, W) or (H, W, 1, 3 or 4) uint8, not {array.shape} {array.dtype}")
    if array.size == 0:
        raise FileError("array", f"the image has no pixels: {array.shape}")
    return Image.fromarray(array.squeeze(2) if array.ndim == 3 and array.shape[2] == 1 else array)


def open_image(given: GivenImage) -> AbstractContextManager[Image.Image]:
    """Opens an image without decoding its pixels; one of the caller's stays open. Raises FileError."""
    if isinstance(given, Image.Image):
        image = given
    else:
        image = picture_of(given) if isinstance(given, np.ndarray) else _opened(given)
    try:
        _check_size(image, name_of(given))
    except FileError:
        if image is not given:
            image.close()
        raise
    return contextlib.nullcontext(image) if image is given else image


def _opened(source: Source) -> Image.Image:
    opened = stream(source)
    try:
        return Image.open(opened, formats=IMAGE_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise FileError(name_of(source), f"the image is larger than the limit of {MEGAPIXELS} megapixels") from error
    except Exception as error:  # Pillow's readers raise a dozen kinds for content that is not theirs
        kinds = "PNG, JPEG, WebP, BMP, GIF or TIFF"
        reason = f"this is no image ({kinds}); it {looks_like(_head(opened))}"
        raise FileError(name_of(source), reason) from error


def _head(opened: str | io.BytesIO) -> bytes:
    with binary(opened) as file:
        return file.read(HEAD)


def _check_size(image: Image.Image, name: str) -> None:
    if image.width * image.height > MEGAPIXELS * 1_000_000:
        size = f"{image.width} x {image.height} pixels"
        raise FileError(name, f"the image has {size}; the limit is {MEGAPIXELS} megapixels. Make it smaller first.")
    if not image.width * image.height:
        raise FileError(name, f"the image has no pixels: {image.height} x {image.width}")


def orientation_of(image: Image.Image) -> int:
    """Returns the orientation of the camera, from 1 (upright) to 8, from the EXIF data."""
    if image.format in ("PNG", "JPEG", "GIF", "BMP") and EXIF.isdisjoint(image.info):
        return 1  # looking for it takes as long as decoding a small image
    found = image.getexif().get(ORIENTATION, 1)
    return found if found in TURNS else 1


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turns an image upright."""
    return image if orientation == 1 else image.transpose(TURNS[orientation])


def shrink_factor(image: Image.Image, height: int, width: int) -> int:
    """Returns the factor by which a large image may be reduced and stay finer than requested; 1: not at all."""
    if image.width * image.height <= LARGE_PIXELS:
        return 1
    return max(min(image.width // (FINER * width), image.height // (FINER * height)), 1)


def _flat(image: Image.Image, height: int, width: int, white: float | None) -> Image.Image:
    """Converts an image of any mode to 8 bits without transparency, and reduces large ones."""
    scale = scale_of(image, white) if is_deep(image) else None
    factor = shrink_factor(image, height, width)
    if factor == 1:
        return eight_bits(image, scale)
    if image.mode in ("L", "RGB") and "transparency" not in image.info:
        return image.reduce(factor)
    across, down = image.width // factor, image.height // factor
    small: Image.Image | None = None
    for top, bottom in bands(down * factor, image.width, factor):
        band = eight_bits(image.crop((0, top, across * factor, bottom)), scale)
        band = (band if band.mode in ("L", "RGB") else band.convert("L" if band.mode == "1" else "RGB")).reduce(factor)
        small = small or Image.new(band.mode, (across, down))
        small.paste(band, (0, top // factor))
    assert small is not None  # a large image has rows
    return small


def fit_to_size(image: Image.Image, height: int, width: int, channels: int) -> Pixels:
    """Resizes an image without transparency to (height, width, channels) uint8; remarks if all pixels are equal."""
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.array(image, dtype=np.uint8).reshape(height, width, channels)
    if remarks.are_collected() and (pixels[0] == pixels[0, 0]).all() and (pixels == pixels[0, 0]).all():
        remarks.remark(remarks.Remark.CONSTANT)
    return pixels


def eight_bits(image: Image.Image, scale: Scale | None) -> Image.Image:
    """Converts an image of any mode to 8 bits without transparency; `scale` is that of a deep one."""
    if scale is not None:
        return Image.fromarray(to_eight_bits(np.asarray(image), scale))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image
