"""Converts Python values to something readable: Pillow images, tensors, arrays, lists, open files, dictionaries.

Where the meaning of the numbers is ambiguous, a `FileError` says what is accepted.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.depth import guess_scale, to_eight_bits
from sightsound.data.images import GivenImage
from sightsound.data.opened import Source, as_path
from sightsound.data.sounds import GivenSound, Sound
from sightsound.errors import FileError

CHANNELS = (1, 3, 4)  # of an image
MOST_KILOHERTZ = 384  # a rate up to this, in Hz, was meant in kHz
MOST_CHANNELS, LONGER = 8, 32  # of a sound; the least ratio of samples to channels
FULL = {"int16": 2.0**15, "int32": 2.0**31}
IMAGES = (
    "an image is a path, bytes, an open file, a Pillow image, {'bytes' or 'path' or 'array': ...}, or an array, tensor "
    "or list (H, W), (H, W, channels) or (channels, H, W) with 1, 3 or 4 channels, of whole numbers from 0 to 255 or "
    "floats from 0 to 1"
)
SOUNDS = (
    "a sound is a path, bytes, an open file, {'bytes' or 'path' or 'array' and 'sampling_rate': ...}, or "
    "(samples, rate_hz), samples (N,), (N, channels) or (channels, N) with up to 8 channels, float in -1 to 1 or "
    "int16, int32, uint8"
)


def given_image(value: Any) -> GivenImage:
    """Converts any accepted value of an image to what `read_image` takes. Raises FileError."""
    if isinstance(value, dict):
        return given_image(_of_dictionary(value, IMAGES))
    if isinstance(value, Image.Image):
        return value
    source = _source(value)
    return _pixels(_array(value, IMAGES), _is_tensor(value)) if source is None else source


def given_audio(value: Any) -> GivenSound:
    """Converts any accepted value of a sound to what `read_audio` takes. Raises FileError."""
    if isinstance(value, Sound):
        return value
    if isinstance(value, dict):
        found = _of_dictionary(value, SOUNDS)
        if found is value.get("array"):
            return given_audio((found, value.get("sampling_rate", value.get("sample_rate"))))
        return given_audio(found)
    if hasattr(value, "get_all_samples"):  # a decoder of torchcodec, as `datasets` gives it
        every = value.get_all_samples()
        return given_audio((every.data, every.sample_rate))
    if _is_pair(value):
        return _samples(_array(value[0], SOUNDS)), _rate(value[1])
    source = _source(value)
    if source is None:
        shape = np.shape(_array(value, SOUNDS))
        raise FileError("array", f"samples {shape} alone do not say how fast they are: give (samples, rate_hz)")
    return source


def _source(value: Any) -> Source | None:
    """Returns a path or the bytes of a file; None for numbers."""
    if isinstance(value, str | os.PathLike):
        path = as_path(value)
        return value if isinstance(value, str | Path) and str(path) == str(value) else path
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if hasattr(value, "read"):
        try:
            content = value.read()
        except UnicodeDecodeError:
            content = ""
        if not isinstance(content, bytes):
            raise FileError(str(getattr(value, "name", "file")), 'the file is open as text: open(path, "rb")')
        return content
    return None


def _of_dictionary(value: dict[str, Any], accepted: str) -> Any:
    """Returns the bytes, the array or the path in a dictionary, the first that exists."""
    found = [value[key] for key in ("bytes", "array", "path") if value.get(key) is not None]
    if not found:
        raise FileError("dictionary", f"there is nothing under bytes, array or path in {sorted(value)}; {accepted}")
    return found[0]


def _is_pair(value: Any) -> bool:
    """Returns whether these are samples and their rate, and not two samples or two channels."""
    if isinstance(value, tuple):
        return len(value) == 2
    return isinstance(value, list) and len(value) == 2 and hasattr(value[0], "__len__") != hasattr(value[1], "__len__")


def _is_tensor(value: Any) -> bool:
    return hasattr(value, "detach")


def _array(value: Any, accepted: str) -> NDArray[Any]:
    """Converts a value to an array of numbers. Raises FileError."""
    if _is_tensor(value):
        value = value.detach().cpu()
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:  # rows of different lengths, a tensor of a strange kind
        raise FileError(type(value).__name__, f"this cannot be read ({error}); {accepted}") from error
    if array.dtype.kind not in "buif" or not array.ndim:
        raise FileError(type(value).__name__, f"this cannot be read; {accepted}")
    return array


def _pixels(array: NDArray[Any], tensor: bool) -> NDArray[np.uint8]:
    """(H, W), (H, W, channels) or (channels, H, W) of numbers -> the first or the second, uint8."""
    shape, kind = array.shape, f"{array.shape} {array.dtype}"
    if not array.size:
        raise FileError("array", f"the image has no pixels: {shape}")
    if array.ndim == 3:
        first, last = shape[0] in CHANNELS, shape[2] in CHANNELS
        if first and last and tensor and shape[0] != shape[2]:
            raise FileError("array", f"which axis of {kind} holds the channels is not certain; {IMAGES}")
        if first and (tensor or not last):
            array = array.transpose(1, 2, 0)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in CHANNELS):
        raise FileError("array", f"{kind} is no image; {IMAGES}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not (low >= 0 and high <= 1):
            raise FileError("array", f"{kind} has values from {low:g} to {high:g}; {IMAGES}")
        return np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    if array.dtype == np.uint16:
        return to_eight_bits(array, guess_scale(float(low), float(high), True, 16))
    if low < 0 or high > 255:
        raise FileError("array", f"{kind} has values from {low} to {high}; {IMAGES}")
    return array.astype(np.uint8)


def _samples(array: NDArray[Any]) -> NDArray[Any]:
    """(N,), (N, channels) or (channels, N) of numbers -> the first or the second, float."""
    kind = f"{array.shape} {array.dtype}"
    if array.ndim not in (1, 2) or not array.size:
        raise FileError("array", f"{kind} is no sound; {SOUNDS}")
    if array.ndim == 2:
        rows, columns = array.shape
        if rows <= MOST_CHANNELS and columns >= LONGER * rows:
            array = array.T
        elif columns > MOST_CHANNELS or rows < LONGER * columns:
            raise FileError("array", f"which axis of {kind} holds the channels is not certain; {SOUNDS}")
    if array.dtype.kind == "f":
        return array.astype(np.float32) if array.dtype == np.float16 else array
    if array.dtype == np.uint8:
        return (array.astype(np.float32) - 128) / 128
    if array.dtype.name not in FULL:
        raise FileError("array", f"what is full scale of {kind} is not certain; {SOUNDS}")
    return np.asarray(array / FULL[array.dtype.name], np.float32)


def _rate(value: Any) -> float:
    """Checks a positive sample rate; an int where it is whole."""
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if not (math.isfinite(rate) and rate > MOST_KILOHERTZ):
        raise FileError(
            "array", f"the rate of the samples is {value!r}; it is a positive number of Hz, and not of kHz: 16000"
        )
    return int(rate) if rate.is_integer() else rate
