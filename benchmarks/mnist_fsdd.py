"""MNIST digits paired by label with spoken digits (FSDD), written as files and a table; what the other benchmarks use.

Training pairs: MNIST training images with FSDD recordings 5 to 49; test pairs: the 10,000 MNIST test images with FSDD
recordings 0 to 4 (the official test set). Validation rows are drawn from the training pairs by recording.

    python benchmarks/mnist_fsdd.py --data ../shared/data --out /tmp/mnist_fsdd --pairs 20000
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

TEST_RECORDINGS = range(5)


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
    parts = recordings["audio"].map(lambda path: path.stem.split("_"))
    recordings["label"] = parts.str[0].astype(int)
    recordings["index"] = parts.str[2].astype(int)
    rng = np.random.default_rng(seed)
    rows = []
    for part, prefix, count in (("train", "train", pairs), ("test", "t10k", 10_000)):
        images = read_idx(data / "mnist" / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(data / "mnist" / f"{prefix}-labels-idx1-ubyte.gz")
        chosen = rng.permutation(len(images))[:count]
        pool = recordings[recordings["index"].isin(TEST_RECORDINGS) == (part == "test")]
        by_label = {label: group.reset_index(drop=True) for label, group in pool.groupby("label")}
        folder = out / part
        folder.mkdir(parents=True, exist_ok=True)
        for i in chosen:
            label = int(labels[i])
            sound = by_label[label].iloc[rng.integers(len(by_label[label]))]
            # one recording in ten, and with it all of its pairs, is held back to choose the epoch
            split = "val" if part == "train" and sound["index"] % 10 == 9 else part
            file = folder / f"{i:05d}.png"
            if not file.exists():
                Image.fromarray(images[i]).save(file)
            rows.append((file.resolve(), sound["audio"], label, split))
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
