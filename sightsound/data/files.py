"""The only place that opens a user's file: a path, bytes or an array -> uint8 pixels, or a float32 waveform.

What is read is decided by the content, not by the ending. Whatever is wrong with a file becomes a `FileError`.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sightsound.data.signatures import looks_like
from sightsound.errors import FileError

Pixels = NDArray[np.uint8]
Waveform = NDArray[np.float32]
Source = str | Path | bytes

IMAGE_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MEGAPIXELS = 64  # a decompression bomb is a small file; the limit is on what it unpacks to
LEAST_SECONDS = 0.01
ORIENTATION = 0x0112  # the EXIF tag
FULL_SCALE = 32768  # of 16-bit samples
HEAD = 16384  # bytes in which the data of a WAV begins
GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)  # our own, stricter limit names the file


class ImageInfo(NamedTuple):
    """Size in pixels as a person sees it, and whether there is colour in it."""

    height: int
    width: int
    colour: bool


def name_of(source: Source | NDArray[Any]) -> str:
    """What to call a file, or what stands for one, in a message."""
    if isinstance(source, np.ndarray):
        return "array"
    return "bytes" if isinstance(source, bytes) else str(source)


def probe_image(source: Source) -> ImageInfo:
    """Size and colour from the header alone. Raises FileError."""
    with open_image(source) as image, decoding(source, "image"):
        width, height = image.size
        if image.getexif().get(ORIENTATION, 1) >= 5:  # the EXIF orientations that swap the sides
            width, height = height, width
        return ImageInfo(height, width, image.mode not in GREY_MODES)


def read_image(source: Source, height: int, width: int, channels: int) -> Pixels:
    """Decodes, turns upright (EXIF) and resizes an image.

    GIF and TIFF give their first frame, transparency lies on white, 16 bits become 8.

    Args:
        source: path or bytes of a PNG, JPEG, WebP, BMP, GIF or TIFF.
        height: of the result, in pixels.
        width: of the result, in pixels.
        channels: 1 grey, 3 colour.

    Returns:
        (height, width, channels) uint8.

    Raises:
        FileError: whatever is wrong with the file.
    """
    with open_image(source) as image, decoding(source, "image"):
        image.draft("L" if channels == 1 else "RGB", (2 * width, 2 * height))  # JPEG decodes small at once
        image.load()
        flat = eight_bits(upright(image))
    return fitted(flat, height, width, channels)


def image_from_array(array: NDArray[Any], height: int, width: int, channels: int) -> Pixels:
    """Same as `read_image` for pixels in memory, (H, W) or (H, W, 1, 3 or 4) uint8. Raises FileError."""
    return fitted(eight_bits(picture_of(array)), height, width, channels)


def picture_of(array: NDArray[Any]) -> Image.Image:
    """Pixels in memory, (H, W) or (H, W, 1, 3 or 4) uint8. Raises FileError."""
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise FileError("array", f"an image is (H, W) or (H, W, 1, 3 or 4) uint8, not {array.shape} {array.dtype}")
    if array.size == 0:
        raise FileError("array", f"the image has no pixels: {array.shape}")
    return Image.fromarray(array.squeeze(2) if array.ndim == 3 and array.shape[2] == 1 else array)


def probe_audio(source: Source) -> float:
    """Length in seconds, from the header alone. Raises FileError."""
    with _open_audio(source) as file:
        return float(file.frames / file.samplerate)


def read_audio(
    source: Source, sample_rate_hz: int, clip_seconds: float, crop: str = "start", start_seconds: float = 0.0
) -> Waveform:
    """Decodes, mixes to mono, resamples, and cuts or pads a sound.

    Args:
        source: path or bytes of a WAV, FLAC, OGG or MP3 of any rate and number of channels.
        sample_rate_hz: of the result.
        clip_seconds: length of the result. A shorter sound is padded with silence at its end.
        crop: which part of a longer sound is kept: start, center or end.
        start_seconds: what lies before is left out.

    Returns:
        (N,) float32 in [-1, 1], N = clip_seconds * sample_rate_hz, in steps of 16 bits. A sound louder than full scale
        is scaled down.

    Raises:
        FileError: whatever is wrong with the file.
    """
    sound = read_samples(source, clip_seconds, crop, start_seconds)
    return waveform_from_array(sound.samples, sound.rate_hz, sample_rate_hz, clip_seconds, crop, name_of(source))


class Samples(NamedTuple):
    """Decoded samples (N, channels) float32 at `rate_hz`, which begin so far into the file."""

    samples: NDArray[np.float32]
    rate_hz: int
    start_seconds: float


def read_samples(source: Source, clip_seconds: float, crop: str, start_seconds: float) -> Samples:
    """The samples that a clip is made of; arguments and errors as in `read_audio`."""
    with _open_audio(source) as file:
        rate = file.samplerate
        wanted = int(np.ceil(clip_seconds * rate))
        before = round(start_seconds * rate)
        start = before + _skipped(file.frames - before - wanted, crop)
        with decoding(source, "sound"):
            if start:
                file.seek(start)
            samples = file.read(wanted, dtype="float32", always_2d=True)
        if len(samples) < min(wanted, file.frames - start):
            raise FileError(name_of(source), f"the sound is cut off: {len(samples)} of {file.frames} samples are there")
    return Samples(samples, rate, start / rate)


def waveform_from_array(
    samples: NDArray[Any], rate: int, sample_rate_hz: int, clip_seconds: float, crop: str = "start", name: str = "array"
) -> Waveform:
    """Same as `read_audio` for samples in memory, (N,) or (N, channels) float at `rate` Hz. Raises FileError."""
    mono = mixed(samples, rate, name)
    if not np.isfinite(mono).all():
        raise FileError(name, f"the sound has NaN or infinite samples, the first at {np.argmin(np.isfinite(mono))}")
    mono = mono.astype(np.float32)
    if rate != sample_rate_hz:
        mono = soxr.resample(mono, rate, sample_rate_hz)
    length = round(clip_seconds * sample_rate_hz)
    start = _skipped(len(mono) - length, crop)
    mono = mono[start : start + length]
    peak = float(np.abs(mono).max(initial=0.0))
    mono = mono / peak if peak > 1 else mono
    mono = np.pad(mono, (0, length - len(mono)))
    # in steps of 16 bits, so that what is kept on disk in 16 bits is the same to the bit
    steps = np.rint(mono * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE - 1)
    return np.asarray(steps / FULL_SCALE, np.float32)


def mixed(samples: NDArray[Any], rate: int, name: str) -> NDArray[Any]:
    """(N,) or (N, channels) float at `rate` Hz -> (N,). Raises FileError for what is no sound, or a very short one."""
    if not np.issubdtype(samples.dtype, np.floating) or samples.ndim not in (1, 2) or samples.size == 0:
        raise FileError(name, f"a sound is (N,) or (N, channels) float, not {samples.shape} {samples.dtype}")
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples
    if len(mono) < LEAST_SECONDS * rate:
        raise FileError(name, f"the sound is too short: {len(mono)} samples at {rate} Hz, under {LEAST_SECONDS} s")
    return np.asarray(mono)


def _skipped(spare: int, crop: str) -> int:
    """How many of the samples that are too many lie before the clip."""
    return {"start": 0, "center": max(spare, 0) // 2, "end": max(spare, 0)}[crop]


@contextlib.contextmanager
def decoding(source: Source, what: str) -> Iterator[None]:
    """Turns whatever a decoder raises for damaged content, and that is a dozen kinds, into a FileError."""
    try:
        yield
    except Exception as error:
        raise FileError(name_of(source), f"the {what} is damaged or cut off ({error})") from error


def _stream(source: Source) -> str | io.BytesIO:
    """The source, once it is certain that there is something to read."""
    if isinstance(source, bytes):
        if not source:
            raise FileError("bytes", "there are no bytes")
        return io.BytesIO(source)
    path = str(source)
    try:
        status = os.stat(path)
    except FileNotFoundError as error:
        raise FileError(path, "there is no such file") from error
    except (OSError, ValueError) as error:
        raise FileError(path, f"the file cannot be opened ({error})") from error
    if stat.S_ISDIR(status.st_mode):
        raise FileError(path, "this is a folder, not a file")
    if status.st_size == 0:
        raise FileError(path, "the file is empty (0 bytes)")
    return path


def open_image(source: Source) -> Image.Image:
    """An image whose pixels are not decoded yet. Raises FileError."""
    stream = _stream(source)
    try:
        image = Image.open(stream, formats=IMAGE_FORMATS)
    except Image.DecompressionBombError as error:
        raise FileError(name_of(source), f"the image is larger than the limit of {MEGAPIXELS} megapixels") from error
    except Exception as error:  # Pillow's readers raise a dozen kinds for content that is not theirs
        kinds = "PNG, JPEG, WebP, BMP, GIF or TIFF"
        raise FileError(name_of(source), f"this is no image ({kinds}); it {looks_like(_first(source))}") from error
    if image.width * image.height > MEGAPIXELS * 1_000_000:
        image.close()
        size = f"{image.width} x {image.height} pixels"
        raise FileError(name_of(source), f"the image has {size}; the limit is {MEGAPIXELS} megapixels")
    return image


def _open_audio(source: Source) -> soundfile.SoundFile:
    stream = _stream(source)
    try:
        file = soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, RuntimeError, TypeError) as error:
        kinds = "WAV, FLAC, OGG or MP3"
        raise FileError(name_of(source), f"this is no sound ({kinds}); it {looks_like(_first(source))}") from error
    reason = "the sound has no samples" if file.frames == 0 else _cut_off_wav(stream)
    if reason:
        file.close()
        raise FileError(name_of(source), reason)
    return file


def _cut_off_wav(stream: str | io.BytesIO) -> str:
    """Why a WAV is incomplete, or "". libsndfile takes a shorter file for the whole, so its header is read here."""
    data = stream.getbuffer()[:HEAD].tobytes() if isinstance(stream, io.BytesIO) else _head(stream, HEAD)
    position = 12
    while data[:4] == b"RIFF" and position + 8 <= len(data):
        declared = int.from_bytes(data[position + 4 : position + 8], "little")
        if data[position : position + 4] == b"data":
            size = stream.getbuffer().nbytes if isinstance(stream, io.BytesIO) else os.stat(stream).st_size
            there = size - position - 8
            streamed = declared in (0, 0x7FFFFFFF, 0xFFFFFFFF)  # written by a pipe that could not go back
            whole = streamed or there >= declared
            return "" if whole else f"the sound is cut off: {there} of {declared} bytes are there"
        position += 8 + declared + declared % 2
    return ""


def _first(source: Source) -> bytes:
    return source[:64] if isinstance(source, bytes) else _head(str(source), 64)


def _head(path: str, size: int) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read(size)


def upright(image: Image.Image) -> Image.Image:
    """Turned as its EXIF says."""
    return image if image.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)


def fitted(image: Image.Image, height: int, width: int, channels: int) -> Pixels:
    """(height, width, channels) uint8 of an image without transparency."""
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode == mode else image.convert(mode)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(image, dtype=np.uint8).reshape(height, width, channels)


def eight_bits(image: Image.Image) -> Image.Image:
    """Any mode as 8 bits without transparency."""
    if image.mode.startswith("I"):  # 16-bit grey; Pillow's own conversion would clip it
        return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) >> 8).astype(np.uint8))
    if image.mode == "F":
        values = np.nan_to_num(np.asarray(image))
        return Image.fromarray((values * (255 if values.max() <= 1 else 1)).clip(0, 255).astype(np.uint8))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return image
