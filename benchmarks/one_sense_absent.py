"""Is a fused model, shown one sense alone, as good as a model trained on that sense alone?

For each strategy and each single sense: one training with all defaults, same epochs, same seed; test accuracy with both
senses and with one absent; the difference to the single-sense model of the same encoder.

    python benchmarks/one_sense_absent.py --data digits --seeds 3
    python benchmarks/one_sense_absent.py --data mnist+fsdd --shared ../shared/data --pairs 20000 --epochs 10 --seeds 2
"""

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from sightsound.config import Config
from sightsound.data.named import dataset
from sightsound.data.sources import SourceOptions
from sightsound.fusion import STRATEGIES
from sightsound.training.run import train
from sightsound.types import MODALITIES


def accuracies(table: Path, config: Config) -> dict[str, float]:
    """Test accuracy for each subset of the senses."""
    with tempfile.TemporaryDirectory() as folder:
        classifier = train(table, config, Path(folder) / "run", resume=False, say=lambda line: None)
    return {name: numbers["accuracy"] for name, numbers in classifier.metrics["subsets"].items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=["digits", "mnist+fsdd", "avmnist"], default="digits")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", default="concat,average,vote,mmtm", help="names with commas between, or all")
    given = parser.parse_args()
    root = None if given.data == "digits" else str(given.shared)
    table = dataset(given.data, SourceOptions(root=root, pairs=given.pairs))
    strategies = list(STRATEGIES) if given.strategies == "all" else given.strategies.split(",")
    found: dict[str, list[dict[str, float]]] = {}
    for seed in range(given.seeds):
        for modality in MODALITIES:
            config = Config(modalities=(modality,), epochs=given.epochs, seed=seed)
            found.setdefault(f"{modality} alone", []).append(accuracies(table, config))
        for fusion in strategies:
            config = Config(fusion=fusion, epochs=given.epochs, seed=seed)
            found.setdefault(fusion, []).append(accuracies(table, config))
        print(
            json.dumps({"data": given.data, "seed": seed, **{name: runs[-1] for name, runs in found.items()}}),
            flush=True,
        )
    mean = {name: {s: statistics.mean(run[s] for run in runs) for s in runs[0]} for name, runs in found.items()}
    print(f"{'':<12}{'both':>8}{'image':>8}{'audio':>8}{'image - alone':>15}{'audio - alone':>15}")
    for name in strategies:
        both, image, audio = (mean[name][s] for s in ("image+audio", *MODALITIES))
        differences = [image - mean["image alone"]["image"], audio - mean["audio alone"]["audio"]]
        print(f"{name:<12}{both:8.4f}{image:8.4f}{audio:8.4f}{differences[0]:+15.4f}{differences[1]:+15.4f}")
    print(f"{'one sense':<12}{'':8}{mean['image alone']['image']:8.4f}{mean['audio alone']['audio']:8.4f}")


if __name__ == "__main__":
    main()
