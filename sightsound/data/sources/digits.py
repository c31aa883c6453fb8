"""The embedded data set: recorded handwritten digits and spoken digits, paired by label, in noise; no network needed.

Images: scikit-learn's copy of the UCI digits (Alpaydin & Kaynak, 1998), drawn larger. Sounds: `spoken_digits.opus`.
They are written as PNG, WAV and a table.csv, so that they are read as a user's own files are. No image and no speaker
is on both sides of a split, and the noise is such that neither modality is enough alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.sources.base import DataSource, SourceOptions, write_wav
from sightsound.progress import progress_bar

HERE = Path(__file__).parent
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}  # of the images, and of the speakers
ROWS_PER_IMAGE = 2  # each time with another voice and other noise
PIXELS = 28
IMAGE_NOISE = 90.0  # standard deviation, in grey levels of 255
IMAGE_CONTRAST = (0.15, 0.7)
SOUND_SNR_DB = (-2.0, 12.0)
SOUND_SECONDS = 0.7


def write(folder: Path, seed: int = 0, noisy: bool = True) -> Path:
    """Writes images, sounds and `table.csv` (columns image, audio, label, split, group) into a folder.

    Files of an earlier, complete call are not written again.

    Args:
        folder: the folder, created if need be.
        seed: the seed of the pairing, the split and the noise.
        noisy: False for ink at full contrast and words in silence, for which one modality is enough.

    Returns:
        the path of the table.
    """
    table = folder / "table.csv"
    if table.exists():
        return table
    for name in ("images", "sounds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    from sklearn.datasets import load_digits  # half a second that only this data set needs

    digits = load_digits()
    rows = []
    with progress_bar("writing digits", len(digits.images) * ROWS_PER_IMAGE) as bar:
        for index, (pixels, wave, rate, row) in enumerate(_pairs(digits, seed, noisy)):
            image, audio = f"images/{index:04d}.png", f"sounds/{index:04d}.wav"
            Image.fromarray(pixels).save(folder / image)
            write_wav(folder / audio, wave, rate)
            rows.append({"image": image, "audio": audio, **row})
            bar.update()
    partial = table.with_suffix(".partial")
    pd.DataFrame(rows)[["image", "audio", "label", "split", "group"]].to_csv(partial, index=False)
    partial.replace(table)  # last and atomically: a table marks a complete folder
    return table


def _pairs(
    digits: Any, seed: int, noisy: bool
) -> Iterator[tuple[NDArray[np.uint8], NDArray[Any], int, dict[str, object]]]:
    """Yields pixels (28, 28) uint8, waveform (N,) float, its rate, and label, split and group (the speaker)."""
    rng = np.random.default_rng(seed)
    sounds, rate = soundfile.read(HERE / "spoken_digits.opus", dtype="float32")
    words = pd.read_csv(HERE / "spoken_digits.csv")
    split_of_image = _split(np.arange(len(digits.images)), rng)
    split_of_speaker = _split(words["speaker"].unique(), rng)
    word_split = words["speaker"].map(split_of_speaker)
    of_word = words[["start_sample", "samples", "speaker"]].to_numpy()
    voices = {key: rows.index.to_numpy() for key, rows in words.groupby([words["digit"], word_split])}
    for index, (small, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        split = split_of_image[index]
        for word in rng.choice(voices[label, split], ROWS_PER_IMAGE, replace=False):
            start, samples, speaker = of_word[word]
            pixels = _image(small, rng, noisy)
            wave = _sound(sounds[start : start + samples], round(SOUND_SECONDS * rate), rng, noisy)
            yield pixels, wave, rate, {"label": int(label), "split": split, "group": speaker}


def _split(items: NDArray[Any], rng: np.random.Generator) -> dict[object, str]:
    ends = np.cumsum([round(share * len(items)) for share in SHARES.values()][:-1])
    parts = np.split(rng.permutation(items), ends)
    return {item: name for name, part in zip(SHARES, parts, strict=True) for item in part}


def _image(small: NDArray[Any], rng: np.random.Generator, noisy: bool) -> NDArray[np.uint8]:
    """(8, 8) levels 0 to 16 -> (28, 28) uint8; noisy: in Gaussian noise, at a random contrast."""
    large = Image.fromarray((small / 16 * 255).astype(np.uint8)).resize((PIXELS, PIXELS), Image.Resampling.BICUBIC)
    if not noisy:
        return np.asarray(large)
    ink = np.asarray(large, dtype=float) * rng.uniform(*IMAGE_CONTRAST)
    return (ink + rng.normal(0, IMAGE_NOISE, ink.shape)).clip(0, 255).astype(np.uint8)


def _sound(word: NDArray[Any], length: int, rng: np.random.Generator, noisy: bool) -> NDArray[Any]:
    """Places a word at random, peak at 0.9; noisy: in white noise at a random signal-to-noise ratio."""
    wave = np.zeros(max(length, len(word)))
    start = rng.integers(0, len(wave) - len(word) + 1)
    wave[start : start + len(word)] = word
    if noisy:
        power = np.mean(word**2) / 10 ** (rng.uniform(*SOUND_SNR_DB) / 10)
        wave += rng.normal(0, np.sqrt(power), len(wave))
    return np.asarray(0.9 * wave / np.abs(wave).max())


def _build(options: SourceOptions, folder: Path) -> None:
    write(folder, options.seed)


SOURCE = DataSource(
    about="embedded: 3,594 handwritten and spoken digits in noise; needs no network",
    licence="images CC BY 4.0 (UCI, E. Alpaydin, C. Kaynak); sounds made with eSpeak NG",
    build=_build,
)
