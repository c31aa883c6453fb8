"""MNIST digits paired by label with spoken digits (FSDD), written as files and a table; what the other benchmarks use.

Training pairs: MNIST training images with FSDD recordings 5 to 49; test pairs: the 10,000 MNIST test images with FSDD
recordings 0 to 4 (the official test set). Besides, a tenth as many validation pairs of other training images, with the
recordings 9, 19, 29, 39 and 49, which no training pair has.

    python benchmarks/mnist_fsdd.py --data ../shared/data --out /tmp/mnist_fsdd --pairs 20000
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

KINDS = ("images-idx3-ubyte", "labels-idx1-ubyte")


def read_idx(path: Path) -> np.ndarray:
    """Array of bytes in the idx format, gzipped."""
    content = gzip.decompress(path.read_bytes())
    axes = content[3]
    shape = [int.from_bytes(content[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)


def write(data: Path, out: Path, pairs: int, seed: int = 0) -> Path:
    """Writes PNG files and `table.csv` (train, val, test) unless they are there; gives the table's path."""
    table = out / f"table-{pairs}-{seed}.csv"
    if table.exists():
        return table
    recordings = pd.DataFrame({"audio": sorted((data / "fsdd" / "recordings").resolve().glob("*.wav"))})
    name = recordings["audio"].map(lambda path: path.stem.split("_"))
    recordings["label"] = name.str[0].astype(int)
    recordings["index"] = name.str[2].astype(int)
    rng = np.random.default_rng(seed)
    pools = {
        "test": recordings["index"] < 5,
        "val": recordings["index"] % 10 == 9,
        "train": (recordings["index"] >= 5) & (recordings["index"] % 10 != 9),
    }
    train, train_labels = (read_idx(data / "mnist" / f"train-{kind}.gz") for kind in KINDS)
    test, test_labels = (read_idx(data / "mnist" / f"t10k-{kind}.gz") for kind in KINDS)
    order = rng.permutation(len(train))
    parts = {
        "train": (train, train_labels, order[:pairs]),
        "val": (train, train_labels, order[pairs : pairs + pairs // 10]),
        "test": (test, test_labels, np.arange(len(test))),
    }
    rows = []
    for part, (images, labels, chosen) in parts.items():
        by_label = {label: group["audio"].tolist() for label, group in recordings[pools[part]].groupby("label")}
        (out / part).mkdir(parents=True, exist_ok=True)
        for i in chosen:
            sounds = by_label[labels[i]]
            file = out / part / f"{i:05d}.png"
            if not file.exists():
                Image.fromarray(images[i]).save(file)
            rows.append((file.resolve(), sounds[rng.integers(len(sounds))], labels[i], part))
    pd.DataFrame(rows, columns=["image", "audio", "label", "split"]).to_csv(table, index=False)
    return table


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, default=Path("/tmp/mnist_fsdd"))
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(write(given.data, given.out, given.pairs, given.seed))
