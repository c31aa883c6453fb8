"""Is any strategy worse than the better modality, and what does the guard cost those that are not?

Compares all strategies (`sightsound compare`; a comparison that is in the folder is gone on with), and tests each once
more without its guard, on the same networks. Two of the data are made here: "memorised", where one modality is noise
that can be memorised and the other is right in 70 %; and "recordings", long sounds that tell the class in each of their
clips, beside images that tell it in 70 %.

    python benchmarks/guard.py memorised --seeds 2 --epochs 30 --out runs/memorised
    python benchmarks/guard.py avmnist --root ../shared/data --pairs 10000 --epochs 10 --seeds 2 --out runs/avmnist
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from sightsound.config import AudioConfig, Config
from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions
from sightsound.data.sources.base import write_wav
from sightsound.studies.comparison.candidates import CompareOptions
from sightsound.studies.comparison.run import Comparison, run_comparison
from sightsound.studies.comparison.said import targets

CLASSES = {"low": 300.0, "middle": 900.0, "high": 2200.0}
KNOWN = 0.7  # of the images show their class
RATE = 8000
ROWS, RECORDINGS, CLIP_SECONDS, CLIPS = 900, 240, 0.3, 12


def bar(label: str, rng: np.random.Generator) -> Image.Image:
    """16 x 16, a bar at a height that tells the class."""
    pixels = rng.integers(0, 60, (16, 16), dtype=np.uint8)
    row = 2 + 5 * list(CLASSES).index(label)
    pixels[row : row + 3] += 150
    return Image.fromarray(pixels)


def tone(hertz: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A tone in noise."""
    time = np.arange(int(seconds * RATE)) / RATE
    return 0.5 * np.sin(2 * np.pi * hertz * time) + rng.normal(0, 0.05, len(time))


def constructed(kind: str, folder: Path) -> Path:
    """Writes files and `table.csv`."""
    table = folder / "table.csv"
    if table.exists():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    rng, rows, names = np.random.default_rng(0), [], list(CLASSES)
    for i in range(ROWS if kind == "memorised" else RECORDINGS):
        label = names[i % 3]
        shown = label if rng.random() < KNOWN else str(rng.choice([name for name in names if name != label]))
        bar(shown, rng).save(folder / f"{i}.png")
        if kind == "memorised":  # a tone of its own for each row, which says nothing of the class
            sound = tone(rng.uniform(200, 3000), CLIP_SECONDS, rng)
        else:
            sound = tone(CLASSES[label] * rng.uniform(0.9, 1.1), CLIP_SECONDS * CLIPS, rng)
        write_wav(folder / f"{i}.wav", sound, RATE)
        split = ("train", "train", "val", "test")[i // 3 % 4]
        rows.append({"image": f"{i}.png", "audio": f"{i}.wav", "label": label, "split": split})
    pd.DataFrame(rows).to_csv(table, index=False)
    return table


def print_table(found: Comparison) -> None:
    """Test accuracy of each strategy with and without its guard, means over the seeds, and the better modality."""
    study = found.study
    target = study.target["test"]
    every = study.seeds[0].modalities
    alone = {
        m: np.mean([(one.probabilities[(m,)].argmax(1) == target).mean() for one in study.unimodal.test]) for m in every
    }
    better = max(alone, key=lambda m: alone[m])
    print(", ".join(f"{m} alone {value:.4f}" for m, value in alone.items()))
    print(f"{'strategy':16} {'training':12} {'no guard':>8} {'guard':>8} {'- better':>8} {'cost':>7}  guarded in")
    for name, one in study.compared.items():
        plain, acted = [], 0
        for seed in study.seeds:
            network = seed.calibrated_network(one.trial)
            acted += bool(network.calibration.guard_shares())
            network.calibration.guard.copy_(torch.eye(1, 1 + len(network.modalities)))
            answered = seed.answers_of(network, one.trial, "test")
            assert (targets(seed.prepared, "test", answered) == target).all()
            plain.append((answered.probabilities[every].argmax(1) == target).mean())
        guarded = [(answered.probabilities[every].argmax(1) == target).mean() for answered in one.test]
        with_guard, without = float(np.mean(guarded)), float(np.mean(plain))
        print(
            f"{name:16} {one.trial.way:12} {without:8.4f} {with_guard:8.4f} {100 * (with_guard - alone[better]):+8.2f} "
            f"{100 * (without - with_guard):+7.2f}  {acted} of {len(study.seeds)}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="memorised, recordings, or the name of a data set")
    parser.add_argument("--root", help="folder with the original files, where the data are not embedded")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--strategies", default="all")
    parser.add_argument("--out", type=Path, default=Path("runs/guard"))
    given = parser.parse_args()
    config = Config(epochs=given.epochs)
    if given.data in ("memorised", "recordings"):
        table = constructed(given.data, given.out.parent / f"{given.data}_data")
        if given.data == "recordings":
            config = dataclasses.replace(
                config, audio=AudioConfig(clip_seconds=CLIP_SECONDS, step_seconds=CLIP_SECONDS)
            )
    else:
        table = dataset(given.data, SourceOptions(root=given.root, pairs=given.pairs))
    options = CompareOptions(given.strategies, seeds=given.seeds)
    print_table(
        run_comparison(table, config, options, given.out, resume=True, say=lambda line: print(line, flush=True))
    )


if __name__ == "__main__":
    main()
