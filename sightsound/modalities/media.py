"""Images and sounds as data URIs, for pages: thumbnails, spectrograms and playable sounds of decoded files."""

from __future__ import annotations

import base64
import io
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.files import Source, probe_image, read_image
from sightsound.features.audio import LogMel

LONGEST_SIDE = 256  # pixels of a shown image


class Shown(NamedTuple):
    """A file as a page shows it.

    Attributes:
        picture: data URI of the image, or of the sound's spectrogram.
        sound: data URI, "" of an image.
        kind: "image" or "spectrogram".
        work: what reading the file cost, in pixels or bytes of it.
    """

    picture: str
    sound: str = ""
    kind: str = "image"
    work: int = 0

    @property
    def size(self) -> int:
        """Returns the bytes that it takes in a page."""
        return len(self.picture) + len(self.sound)


def thumbnail(source: Source) -> str:
    """Encodes a file's image, at most 256 pixels long; PNG, of a large photograph JPEG. Raises FileError."""
    height, width, colour, _ = probe_image(source)
    shrink = min(1.0, LONGEST_SIDE / max(height, width))
    size = max(round(height * shrink), 1), max(round(width * shrink), 1)
    pixels = read_image(source, *size, 3) if colour else read_image(source, *size, 1)[..., 0]
    return jpeg_uri(pixels) if shrink < 1 else png_uri(pixels)


def frames_uri(wave: NDArray[Any], how: LogMel) -> str:
    """Encodes the log-mel frames of a waveform (N,), time to the right and frequency upwards, as PNG."""
    frames = how(torch.from_numpy(wave)[None])[0].numpy()
    low, high = np.percentile(frames, [5, 99.5])
    return png_uri((255 * (frames.T[::-1] - low) / max(high - low, 1e-6)).clip(0, 255).astype(np.uint8))


def wav_uri(wave: NDArray[Any], rate_hz: int) -> str:
    """Encodes a waveform (N,) as WAV."""
    file = io.BytesIO()
    soundfile.write(file, wave, rate_hz, format="WAV", subtype="PCM_16")
    return _uri("audio/wav", file)


def png_uri(pixels: NDArray[Any]) -> str:
    """Encodes pixels (H, W) or (H, W, 3) uint8 as PNG."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=3)
    return _uri("image/png", file)


def jpeg_uri(pixels: NDArray[Any]) -> str:
    """Encodes pixels (H, W) or (H, W, 3) uint8 as JPEG, with small losses."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=85)
    return _uri("image/jpeg", file)


def _uri(kind: str, file: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
