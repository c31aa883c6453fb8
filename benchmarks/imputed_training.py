"""Training on rows whose missing modality is imputed, against leaving it out of the fused loss: half of one is missing.

python benchmarks/imputed_training.py --data digits --epochs 14 --seeds 3
python benchmarks/imputed_training.py --data avmnist --shared ../shared/data --pairs 5000 --epochs 10
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import sightsound as ss
from sightsound.data.sources import SourceOptions

POLICIES = ("ignore", "mean", "nearest", "predict", "generate")


def halved(table: Path, modality: str, seed: int) -> pd.DataFrame:
    """The table with paths that lead to its files, half of the training rows without one modality."""
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(table.parent / name))
    training = frame.index[frame["split"] == "train"].to_numpy()
    without = np.random.default_rng(seed).choice(training, len(training) // 2, replace=False)
    frame.loc[without, modality] = ""
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", choices=["digits", "avmnist", "mnist+fsdd"])
    parser.add_argument("--shared", help="folder with the original files, where the data are not embedded")
    parser.add_argument("--pairs", type=int, default=5000)
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fusion", default="concat")
    parser.add_argument("--missing", default="audio", choices=["image", "audio"])
    parser.add_argument("--policies", default=",".join(POLICIES))
    given = parser.parse_args()
    table = ss.dataset(given.data, SourceOptions(root=given.shared, pairs=given.pairs))
    other = "image" if given.missing == "audio" else "audio"
    print("policy    seed  both    with half missing")
    for policy in given.policies.split(","):
        for seed in range(given.seeds):
            frame = halved(table, given.missing, seed)
            test = frame[frame["split"] == "test"].assign(split="")
            half = test.copy()
            half.loc[half.index[::2], given.missing] = ""
            with tempfile.TemporaryDirectory() as folder:
                options = {"epochs": given.epochs, "seed": seed, "fusion": given.fusion, "say": lambda line: None}
                classifier = ss.train(
                    frame, out=Path(folder) / "run", missing=dict.fromkeys(("image", "audio"), policy), **options
                )
                found = classifier.evaluate(half)["subsets"]
                both = classifier.metrics["subsets"]["image+audio"]["accuracy"]
                print(f"{policy:9} {seed:4}  {both:.4f}  {found['as given']['accuracy']:.4f}", flush=True)
    print(f"(complete test rows; the same, half of them with the {other} alone)")


if __name__ == "__main__":
    main()
