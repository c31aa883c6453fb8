"""Audio-visual MNIST, rebuilt from public parts: blurred digits and spoken digits in noise.

It follows Vielzeuf et al. (CentralNet, 2018) and Perez-Rua et al. (MFAS, 2019), whose data are private; docs/results.md
says what is known of them and how this differs. Every pair is rendered from its own number and the seed alone, in any
order and process, so that sounds and labels always match. All sums that decide a pixel are exact, so that the bytes are
the same on every computer.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from joblib import Parallel, delayed
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.sources import fsdd, mnist
from sightsound.data.sources.base import DataSource, SourceOptions, write_wav
from sightsound.errors import SourceError
from sightsound.progress import progress_bar

TRAIN, VAL, TEST = 55_000, 5_000, 10_000
COMPONENTS = 5
GRID = 2**14  # components are rounded to so many steps, so that everything after them is a sum of whole numbers
RATE = 8000
SAMPLES = 8000
SNR_DB = (-10.0, -1.5)  # of the word to all noise together; calibrated once, see docs/results.md
VOICES = 3  # recordings of another speaker in the babble
WINDOW, HOP, FRAMES, BINS = 222, 70, 112, 112
RANGE_DB = 80.0
CHUNK = 250


def build(options: SourceOptions, folder: Path) -> None:
    """Writes PNG, WAV, `table.csv`, `pairs.csv`, the `.npy` files of earlier code, and `SHA256SUMS`.

    Layout of the arrays: image/{train,test}_data.npy (n, 784) float32 with values from 0 to 255, which earlier code
    divides in place; audio/{train,test}_data.npy (n, 112, 112) uint8; {train,test}_labels.npy (n,) int64; the last
    5,000 of the 60,000 train rows validate.

    Raises:
        SourceError: MNIST or FSDD is missing or incomplete.
    """
    pairs, pixels = _first(pair(options), options.pairs), blurred(options)
    parts: list[str] = pairs["part"].tolist()
    numbers: list[int] = pairs["mnist_index"].tolist()
    names = [f"{part}-{number:05d}" for part, number in zip(parts, numbers, strict=True)]
    for name in ("image", "audio", "images", "sounds"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    places = pairs.groupby("part").cumcount().to_numpy()
    counts = pairs["part"].value_counts()
    arrays = {p: _arrays(folder, p, int(counts[p])) for p in mnist.PARTS}
    with progress_bar("rendering avmnist", len(pairs), "pair") as bar:
        for start, waves in rendered(pairs, options.seed, SNR_DB):
            for i, wave in enumerate(waves, start):
                write_wav(folder / "sounds" / f"{names[i]}.wav", wave, RATE)
                small = pixels[parts[i]][numbers[i]]
                arrays[parts[i]][0][places[i]] = small
                Image.fromarray(small.reshape(28, 28)).save(folder / "images" / f"{names[i]}.png", compress_level=1)
                digest.update(wave.tobytes())
            for i, frames in enumerate(spectrograms(waves), start):
                arrays[parts[i]][1][places[i]] = frames
            bar.update(len(waves))
    for part in mnist.PARTS:
        for array in arrays[part]:
            array.flush()
        np.save(folder / f"{part}_labels.npy", pairs["label"][pairs["part"] == part].to_numpy(np.int64))
    facts = {"snr_db": SNR_DB, "seed": options.seed, "split_by": options.split_by, "sounds_sha256": digest.hexdigest()}
    (folder / "facts.json").write_text(json.dumps(facts, indent=1))
    pairs.drop(columns=["audio"]).to_csv(folder / "pairs.csv", index=False)
    _write_sums(folder)
    table = pairs[["label", "split", "group"]].copy()
    table.insert(0, "image", [f"images/{name}.png" for name in names])
    table.insert(1, "audio", [f"sounds/{name}.wav" for name in names])
    table.to_csv(folder / "table.csv", index=False)


def _arrays(folder: Path, part: str, rows: int) -> tuple[Any, Any]:
    """Creates files for images (n, 784) and spectrograms (n, 112, 112), on disk and not in memory."""
    image, audio = (folder / modality / f"{part}_data.npy" for modality in ("image", "audio"))
    return (
        np.lib.format.open_memmap(image, "w+", np.float32, (rows, 784)),
        np.lib.format.open_memmap(audio, "w+", np.uint8, (rows, FRAMES, BINS)),
    )


def pair(options: SourceOptions) -> pd.DataFrame:
    """Draws the pairs: split, part (of MNIST), mnist_index, label, recording, group (speaker), audio (path), babble.

    `babble` names another speaker's recordings of the same split, which are mixed into the background.
    """
    sounds = fsdd.read(options)
    labels = {part: mnist.read(options.root, part)[1] for part in mnist.PARTS}
    if (len(labels["train"]), len(labels["test"])) != (TRAIN + VAL, TEST):
        raise SourceError(
            f"avmnist needs all of MNIST; there are {len(labels['train'])} + {len(labels['test'])} digits."
        )
    rng = np.random.default_rng(options.seed)
    order = rng.permutation(TRAIN + VAL)
    chosen = {"train": ("train", order[:TRAIN]), "val": ("train", order[TRAIN:]), "test": ("test", np.arange(TEST))}
    rows = []
    for split, (part, numbers) in chosen.items():
        pool = sounds[sounds["split"] == split]
        speakers = pool["group"].to_numpy()
        paths = pool["audio"].to_numpy()
        of_digit = {digit: np.flatnonzero(pool["label"] == str(digit)) for digit in range(10)}
        others = {s: np.flatnonzero(speakers != s) for s in np.unique(speakers)}
        for number in numbers:
            digit = int(labels[part][number])
            if not len(of_digit[digit]):
                raise SourceError(f"avmnist: fsdd has no {split} recording of the digit {digit}.")
            at = rng.choice(of_digit[digit])
            speaker = speakers[at]
            elsewhere = others[speaker] if len(others[speaker]) else np.arange(len(pool))  # a single speaker
            babble = paths[rng.choice(elsewhere, VOICES)]
            rows.append((split, part, number, digit, Path(paths[at]).stem, speaker, paths[at], babble))
    columns = ["split", "part", "mnist_index", "label", "recording", "group", "audio", "babble"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["babble"] = [" ".join(Path(path).stem for path in paths) for paths in frame["babble"]]
    return frame


def _first(pairs: pd.DataFrame, count: int | None) -> pd.DataFrame:
    """Selects the first training pairs and all others; the draws of a pair do not depend on their number."""
    if count is None:
        return pairs
    if not 0 < count <= TRAIN:
        raise SourceError(f"avmnist: --pairs is {count}; it can be 1 to {TRAIN}.")
    train = pairs["split"] == "train"
    return pairs[~train | (train.cumsum() <= count)].reset_index(drop=True)


def blurred(options: SourceOptions) -> dict[str, NDArray[np.uint8]]:
    """Projects each part of MNIST (n, 784) on the first principal components of the training images, around grey 128.

    The components are those of the 55,000 training images; the mean is left out.
    """
    train = mnist.read(options.root, "train")[0].reshape(-1, 784)
    chosen = np.random.default_rng(options.seed).permutation(TRAIN + VAL)[:TRAIN]
    fitted = train[chosen].astype(np.float64)
    total, products = fitted.sum(0), fitted.T @ fitted  # whole numbers below 2**53: exact in any order
    mean = np.rint(total / TRAIN)
    covariance = products / TRAIN - np.outer(total / TRAIN, total / TRAIN)
    vectors = np.linalg.eigh(covariance)[1][:, : -COMPONENTS - 1 : -1]
    vectors = vectors * np.sign(vectors[np.abs(vectors).argmax(0), np.arange(COMPONENTS)])
    steps = np.rint(vectors * GRID)
    result = {}
    for part in mnist.PARTS:
        images = mnist.read(options.root, part)[0].reshape(-1, 784).astype(np.float64)
        left = ((images - mean) @ steps) @ steps.T / GRID**2
        result[part] = np.floor(128.5 + left / 2).clip(0, 255).astype(np.uint8)
    return result


def rendered(pairs: pd.DataFrame, seed: int, snr_db: tuple[float, float]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Yields the position of the first of some pairs, and their sounds (n, 8000); in order, by worker processes."""
    folder = str(Path(pairs["audio"].iloc[0]).parent)
    starts = range(0, len(pairs), CHUNK)
    records = pairs[["part", "mnist_index", "recording", "babble"]].to_dict("records")
    workers = Parallel(os.cpu_count() or 1, return_as="generator", pre_dispatch="2*n_jobs")
    calls = (delayed(_render_chunk)(folder, records[start : start + CHUNK], seed, snr_db) for start in starts)
    yield from zip(starts, workers(calls), strict=True)


def _render_chunk(
    folder: str, records: list[dict[str, Any]], seed: int, snr_db: tuple[float, float]
) -> NDArray[np.int16]:
    known: dict[str, NDArray[np.float64]] = {}

    def word(name: str) -> NDArray[np.float64]:
        if name not in known:
            samples, rate = soundfile.read(Path(folder) / f"{name}.wav", dtype="int16", always_2d=True)
            if rate != RATE:
                raise SourceError(f"{name}.wav: fsdd's recordings have {RATE} Hz, not {rate}.")
            known[name] = samples[:SAMPLES, 0].astype(np.float64)
        return known[name]

    return np.stack([_render(row, word, seed, snr_db) for row in records])


def _render(row: dict[str, Any], word: Any, seed: int, snr_db: tuple[float, float]) -> NDArray[np.int16]:
    """Renders (8000,): a word at a random place, in noise of a random colour and another speaker's babble."""
    rng = np.random.default_rng([seed, list(mnist.PARTS).index(row["part"]), row["mnist_index"]])
    said = word(row["recording"])
    place = rng.integers(0, SAMPLES - len(said) + 1)
    wave = np.zeros(SAMPLES)
    wave[place : place + len(said)] = said
    colour = rng.uniform(0, 2)  # power falls by frequency to this: 0 white, 1 pink, 2 brown
    spectrum = np.fft.rfft(rng.standard_normal(SAMPLES))
    spectrum[0] = 0
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-colour / 2)
    noise = _unit(np.fft.irfft(spectrum, SAMPLES))
    babble = np.zeros(SAMPLES)
    for name in row["babble"].split():
        babble += np.roll(np.resize(_unit(word(name)), SAMPLES), rng.integers(SAMPLES))
    share = rng.uniform(0, 1)
    both = _unit(np.sqrt(share) * noise + np.sqrt(1 - share) * _unit(babble))
    level = np.sqrt(np.mean(said**2)) * 10 ** (-rng.uniform(*snr_db) / 20)
    wave = wave + level * both
    return np.asarray(np.rint(wave * (0.9 * 32767 / np.abs(wave).max())), np.int16)


def _unit(wave: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scales the wave to a mean power of 1."""
    return wave / max(float(np.sqrt(np.mean(wave**2))), 1e-9)


def spectrograms(waves: NDArray[np.int16]) -> NDArray[np.uint8]:
    """(n, 8000) -> (n, 112 frames, 112 frequencies): each sound's loudest place is 255, 80 dB below it is 0."""
    cut = np.lib.stride_tricks.sliding_window_view(waves, WINDOW, axis=1)[:, ::HOP][:, :FRAMES]
    power = np.abs(np.fft.rfft(cut * np.hanning(WINDOW), axis=2)) ** 2
    decibels = 10 * np.log10(power + 1e-3)
    top = decibels.max(axis=(1, 2), keepdims=True)
    return np.asarray(np.rint(((decibels - top) / RANGE_DB + 1).clip(0) * 255), np.uint8)


def _write_sums(folder: Path) -> None:
    """Writes `SHA256SUMS` of all files whose bytes do not depend on a library's version, as for `sha256sum -c`."""
    lines = []
    for file in sorted([*folder.glob("*.npy"), *folder.glob("*/*.npy"), folder / "pairs.csv", folder / "facts.json"]):
        with file.open("rb") as content:
            lines.append(f"{hashlib.file_digest(content, 'sha256').hexdigest()}  {file.relative_to(folder)}\n")
    (folder / "SHA256SUMS").write_text("".join(lines))


SOURCE = DataSource(
    about="70,000 pairs of blurred digits and spoken digits in noise, after CentralNet and MFAS",
    licence="as its parts",
    build=build,
    parts=("mnist", "fsdd"),
)
