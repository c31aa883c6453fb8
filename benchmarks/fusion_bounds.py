"""A finished comparison against two measures from outside: plain joint concatenation, and the product of posteriors.

Plain: concatenation trained jointly by the fused loss alone, without heads or balance, as most of the literature does;
same encoders, epochs and seeds. Product: each modality's posterior, calibrated by one temperature on validation rows,
multiplied and divided by the prior; where the modalities share nothing but the class it is the best that any fusion of
these encoders can do.

    sightsound compare avmnist --root ../shared/data --pairs 20000 --epochs 10 --out runs/avmnist
    python benchmarks/fusion_bounds.py runs/avmnist avmnist --root ../shared/data --pairs 20000 --epochs 10
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar

from sightsound.config import Config
from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.inference.subsets import Answered
from sightsound.studies.comparison.compare import UNIMODAL_TRIAL
from sightsound.studies.comparison.said import targets
from sightsound.studies.comparison.trials import Seed
from sightsound.training.prepare import Prepared, prepare
from sightsound.training.run import run_training


def product(val: Answered, val_target: np.ndarray, test: Answered, classes: int) -> np.ndarray:
    """(n,) classes by the product of calibrated posteriors."""
    prior = np.bincount(val_target, minlength=classes) / len(val_target)
    joint = -np.log(prior) * (len(test.has) - 1)
    for m in test.has:
        log_val, log_test = (np.log(np.maximum(one.probabilities[(m,)], 1e-12)) for one in (val, test))

        def loss(temperature: float, log_val: np.ndarray = log_val) -> float:
            return float(-scaled(log_val, temperature)[np.arange(len(val_target)), val_target].mean())

        joint = joint + scaled(log_test, minimize_scalar(loss, bounds=(0.2, 5), method="bounded").x)
    return joint.argmax(1)


def scaled(log_p: np.ndarray, temperature: float) -> np.ndarray:
    """Log probabilities at another temperature."""
    logits = log_p / temperature
    return (
        logits
        - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
        - logits.max(1, keepdims=True)
    )


def products(prepared: Prepared, run: Path, seeds: int) -> list[float]:
    """Test accuracy for each seed of the comparison."""
    found = []
    for number in range(seeds):
        seed = Seed(prepared, number, run / f"seed-{number}")
        val, test = seed.result_of(UNIMODAL_TRIAL).val, seed.test(UNIMODAL_TRIAL)
        predicted = product(val, targets(prepared, "val", val), test, len(prepared.labels))
        found.append(float((predicted == targets(prepared, "test", test)).mean()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data")
    parser.add_argument("--root")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    table = dataset(given.data, SourceOptions(root=given.root, pairs=given.pairs))
    plain = []
    for seed in range(given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            config = Config(balance="fused-only", epochs=given.epochs, seed=seed)
            classifier = run_training(table, config, Path(folder) / "run", resume=False, say=lambda line: None)
        plain.append(classifier.metrics["subsets"]["image+audio"]["accuracy"])
        print(json.dumps({"seed": seed, "plain": plain[-1]}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(read_table(table), Config(fusion="mmtm", epochs=given.epochs), Path(folder))
        best = products(prepared, given.run, given.seeds)
    done = json.loads((given.run / "compare.json").read_text())
    rows = {row["name"]: row["accuracy"] for row in done["rows"]}
    chosen = done["recommendation"]["accuracy"]
    print(json.dumps({"product": best, "plain": plain}))
    print(
        f"recommended: {chosen} {rows[chosen]:.4f}; product of calibrated posteriors {np.mean(best):.4f}; plain joint"
    )
    print(f"concat {np.mean(plain):.4f}; better modality alone {max(rows['image only'], rows['audio only']):.4f}")


if __name__ == "__main__":
    main()
