"""MNIST handwritten digits (LeCun, Cortes & Burges, 1998): the four idx files become PNG files and a table."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from sightsound.data.sources.base import DataSource, SourceOptions, find, not_found
from sightsound.downloads import Download, cache_folder
from sightsound.errors import SourceError
from sightsound.progress import progress_bar

URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
PARTS = {"train": "train", "test": "t10k"}
PLACES = (".", "mnist", "MNIST/raw")


def build(options: SourceOptions, folder: Path) -> None:
    """Writes `train/` and `test/` with a PNG an image, and `table.csv` (image, label, split, in the files' order)."""
    rows = []
    for split in PARTS:
        images, labels = read(options.root, split)
        (folder / split).mkdir(parents=True, exist_ok=True)
        with progress_bar(f"writing mnist {split}", len(images)) as bar:
            for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
                file = f"{split}/{i:05d}.png"
                Image.fromarray(pixels).save(folder / file, compress_level=1)
                rows.append((file, label, split))
                bar.update()
    pd.DataFrame(rows, columns=["image", "label", "split"]).to_csv(folder / "table.csv", index=False)


def read(root: str | None, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Reads images (n, 28, 28) and labels (n,) of train or test from idx files, gzipped or not. Raises SourceError."""
    prefix = PARTS[split]
    folder = find(root, cache_folder() / "fetched" / "mnist", "mnist", PLACES, f"{prefix}-images-idx3-ubyte*")
    return read_idx(folder, f"{prefix}-images-idx3-ubyte"), read_idx(folder, f"{prefix}-labels-idx1-ubyte")


def read_idx(folder: Path, name: str) -> NDArray[np.uint8]:
    """Reads an array of bytes in the idx format, from NAME or NAME.gz. Raises SourceError."""
    path = next((p for p in (folder / f"{name}.gz", folder / name) if p.exists()), None)
    if path is None:
        raise not_found("mnist", f"{name} (or {name}.gz)", [folder])
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        if content[:3] != b"\0\0\x08":
            raise ValueError("it does not begin as an idx file of bytes does")
        axes = content[3]
        shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError) as error:
        raise SourceError(f"{path}: damaged or no idx file ({error}). Fetch it again.") from error


SOURCE = DataSource(
    about="70,000 handwritten digits, 28 x 28",
    licence="CC BY-SA 3.0; Y. LeCun, C. Cortes, C. Burges",
    build=build,
    downloads=(
        Download(
            f"{URL}train-images-idx3-ubyte.gz",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            9_912_422,
        ),
        Download(
            f"{URL}train-labels-idx1-ubyte.gz",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            28_881,
        ),
        Download(
            f"{URL}t10k-images-idx3-ubyte.gz",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            1_648_877,
        ),
        Download(
            f"{URL}t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542
        ),
    ),
)
