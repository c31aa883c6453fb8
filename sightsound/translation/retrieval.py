"""The result of a translation; and translation without training: sonification and nearest neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sightsound.data.files import Source, image_from_array, name_of, probe_audio, probe_image, read_audio, read_image
from sightsound.data.sources.base import write_png, write_wav
from sightsound.errors import ConfigError, did_you_mean
from sightsound.translation.config import MODALITIES
from sightsound.translation.decoders.sonify import COLUMN_SECONDS, picture, sonify

MODES = ("generate", "retrieve", "sonify")
EXACT_ROWS = 100_000  # beyond, an approximate index is used
BATCH = 128
SONIFIED_ROWS, MOST_COLUMNS = 64, 256  # of a sonified image
SONIFIED_RATE_HZ = 16_000


class Translation(NamedTuple):
    """One translation.

    Attributes:
        source: the file, or "array" or "bytes".
        start_seconds: where in a sound the translated window starts; 0 for an image.
        modality: the modality of the translation.
        mode: generate, retrieve or sonify.
        content: pixels (H, W) or (H, W, 3) uint8, or a waveform (N,).
        sample_rate_hz: sample rate of a waveform; None for pixels.
        similarity: from -1 to 1, the similarity of both shared embeddings; None without a trained translator.
        file: the retrieved file; "" if it was generated.
    """

    source: str
    start_seconds: float
    modality: str
    mode: str
    content: NDArray[Any]
    sample_rate_hz: int | None
    similarity: float | None = None
    file: str = ""


def other(modality: str) -> str:
    """Returns the other modality."""
    return MODALITIES[1 - MODALITIES.index(modality)]


def several(given: Any) -> list[Any]:
    """Returns one file or array, or a sequence of them, as a list."""
    return [given] if isinstance(given, str | Path | bytes | np.ndarray) else list(given)


def check(n: int, mode: str) -> None:
    """Raises ConfigError for an invalid number or mode."""
    if mode not in MODES:
        raise ConfigError(f"mode is {mode!r}. {did_you_mean(mode, MODES)}")
    if n < 1:
        raise ConfigError(f"n is {n}; it is how many translations of each file are wanted, 1 or more.")


def sonify_image(image: Source | NDArray[Any]) -> list[Translation]:
    """Translates an image by `sonify`, 64 rows high: the tones that `image_from_sonified` expects."""
    if isinstance(image, np.ndarray):
        height, width = image.shape[:2]
    else:
        height, width, *_ = probe_image(image)
    size = SONIFIED_ROWS, min(max(round(width * SONIFIED_ROWS / height), 1), MOST_COLUMNS)
    pixels = image_from_array(image, *size, 1) if isinstance(image, np.ndarray) else read_image(image, *size, 1)
    wave = sonify(pixels[..., 0], SONIFIED_RATE_HZ)
    return [Translation(name_of(image), 0.0, "audio", "sonify", wave, SONIFIED_RATE_HZ)]


def image_from_sonified(sound: Source) -> list[Translation]:
    """Draws the image of a sonified sound, with a column for every 50 ms."""
    seconds = max(probe_audio(sound), COLUMN_SECONDS)
    wave = read_audio(sound, SONIFIED_RATE_HZ, seconds, "start")
    return [Translation(name_of(sound), 0.0, "image", "sonify", picture(wave, SONIFIED_RATE_HZ, SONIFIED_ROWS), None)]


def nearest(bank: Tensor, wanted: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Finds among shared embeddings (rows, E) the n closest to each of (B, E), the closest first.

    It is exact up to 100,000 rows; beyond, a graph is searched (HNSW, Malkov & Yashunin, 2018): the extra `search`.

    Returns:
        positions (B, n) and similarities (B, n); fewer where there are fewer rows.
    """
    n = min(n, len(bank))
    if len(bank) <= EXACT_ROWS:
        parts = [(part @ bank.T).topk(n, 1) for part in wanted.split(BATCH)]
        return torch.cat([part.indices for part in parts]), torch.cat([part.values for part in parts])
    try:
        import faiss
    except ImportError as error:
        raise ConfigError(
            f"Looking among {len(bank):,} files needs an index: pip install 'sightsound[search]'"
        ) from error
    index = faiss.IndexHNSWFlat(bank.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction, index.hnsw.efSearch = 80, max(4 * n, 64)
    index.add(bank.numpy())
    similarity, places = index.search(wanted.numpy(), n)
    return torch.from_numpy(places), torch.from_numpy(similarity)


def write(translation: Translation, place: Path) -> Path:
    """Writes a translation as WAV or PNG; returns the path with its ending."""
    if translation.sample_rate_hz is None:
        path = place.with_name(f"{place.name}.png")
        write_png(path, translation.content)
    else:
        path = place.with_name(f"{place.name}.wav")
        write_wav(path, translation.content, translation.sample_rate_hz)
    return path
