"""Is a fused model, shown one modality alone, as good as a model trained on that modality alone?

For each strategy and each single modality: one training with all defaults, same epochs, same seed; test accuracy with
both modalities and with one absent; the difference to the single-modality model of the same encoder.

    python benchmarks/one_modality_absent.py --data digits --seeds 3
    python benchmarks/one_modality_absent.py --data mnist+fsdd --shared ../shared/data --pairs 20000 --epochs 10 --seeds
    2

With `--rates` also: where a quarter, half or three quarters of the test rows have lost a modality, how far is the
accuracy from the straight line between none and all of them (the least of all seeds)? Every training stays in `--out`;
the same command goes on with it.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
import pandas as pd

from sightsound.classifier import Classifier
from sightsound.config import Config
from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions
from sightsound.fusion import STRATEGIES
from sightsound.modalities.base import MODALITIES
from sightsound.training.run import run_training

SHARES = (0.25, 0.5, 0.75)


def accuracies(classifier: Classifier) -> dict[str, float]:
    """Test accuracy for each subset of the modalities."""
    return {name: numbers["accuracy"] for name, numbers in classifier.metrics["subsets"].items()}


def from_the_line(classifier: Classifier, table: Path, seed: int) -> float:
    """Of all modalities and shares the least accuracy, less that on the straight line."""
    frame = pd.read_csv(table, dtype=str, keep_default_na=False)
    frame = frame[frame["split"] == "test"]
    for modality in MODALITIES:
        frame[modality] = [str(table.parent / file) for file in frame[modality]]
    ends = accuracies(classifier)
    found: list[float] = []
    for modality, other in (MODALITIES, MODALITIES[::-1]):
        order = np.random.default_rng(seed).permutation(len(frame))
        for share in SHARES:
            given = frame[modality].to_numpy(copy=True)
            given[order[: round(share * len(frame))]] = ""
            accuracy = classifier.evaluate(frame.assign(**{modality: given}))["subsets"]["as given"]["accuracy"]
            found.append(accuracy - (1 - share) * ends["image+audio"] - share * ends[other])
    return min(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["digits", "mnist+fsdd", "avmnist"], default="digits")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", default="concat,average,vote,mmtm", help="names with commas between, or all")
    parser.add_argument("--out", type=Path, default=Path("runs/one_modality_absent"), help="folder of the trainings")
    parser.add_argument("--rates", action="store_true", help="also with a part of the rows without a modality")
    given = parser.parse_args()
    root = None if given.data == "digits" else str(given.shared)
    table = dataset(given.data, SourceOptions(root=root, pairs=given.pairs))
    strategies = list(STRATEGIES) if given.strategies == "all" else given.strategies.split(",")
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(given.seeds):
        configs = {f"{m} alone": Config(modalities=(m,), epochs=given.epochs, seed=seed) for m in MODALITIES}
        configs |= {fusion: Config(fusion=fusion, epochs=given.epochs, seed=seed) for fusion in strategies}
        for name, config in configs.items():
            run = given.out / f"{table.parent.name}-{name.replace(' ', '-')}-{seed}"
            classifier = run_training(table, config, run, resume=True, say=lambda line: None)
            numbers = accuracies(classifier)
            if given.rates and len(config.modalities) > 1:
                numbers["line"] = from_the_line(classifier, table, seed)
            found.setdefault(name, []).append(numbers)
            print(json.dumps({"data": given.data, "seed": seed, "trained": name, **numbers}), flush=True)
    mean = {name: {s: statistics.mean(run[s] for run in runs) for s in runs[0]} for name, runs in found.items()}
    line = f"{'from the line':>15}" if given.rates else ""
    print(f"{'':<16}{'both':>8}{'image':>8}{'audio':>8}{'image - alone':>15}{'audio - alone':>15}{line}")
    for name in strategies:
        both, image, audio = (mean[name][s] for s in ("image+audio", *MODALITIES))
        differences = [image - mean["image only"]["image"], audio - mean["audio only"]["audio"]]
        line = f"{min(run['line'] for run in found[name]):+15.4f}" if given.rates else ""
        print(f"{name:<16}{both:8.4f}{image:8.4f}{audio:8.4f}{differences[0]:+15.4f}{differences[1]:+15.4f}{line}")
    print(f"{'one modality':<16}{'':8}{mean['image only']['image']:8.4f}{mean['audio only']['audio']:8.4f}")


if __name__ == "__main__":
    main()
