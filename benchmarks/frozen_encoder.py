"""A frozen pretrained encoder: what the first epoch costs, with every embedding computed, and what the next one costs.

The checkpoint is a ViT-Base for 224 x 224 pixels, built from its configuration with random weights, saved to disk and
loaded as any other; the rows are the first MNIST + FSDD pairs.

    python benchmarks/frozen_encoder.py --root ../shared/data --pairs 200
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import pandas as pd
import transformers

from sightsound.config import Config, ImageConfig
from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.hardware import tune_process
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.loop import Watcher
from sightsound.training.prepare import prepare


class Clock(Watcher):
    """When each epoch ended."""

    def __init__(self) -> None:
        self.at: list[float] = []

    def after_epoch(self, *_: object) -> bool:
        """Reads the clock."""
        self.at.append(time.perf_counter())
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="../shared/data")
    parser.add_argument("--pairs", type=int, default=200)
    given = parser.parse_args()
    table = dataset("mnist+fsdd", SourceOptions(root=given.root, pairs=given.pairs))
    frame = pd.read_csv(table)
    frame["image"] = [str(table.parent / image) for image in frame["image"]]
    frame = frame.groupby("split").head(given.pairs)
    tune_process()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = f"{folder}/vit"
        transformers.ViTModel(transformers.ViTConfig()).save_pretrained(checkpoint)
        transformers.ViTImageProcessor().save_pretrained(checkpoint)
        config = Config(image=ImageConfig(f"hf:{checkpoint}", frozen=True), epochs=3)
        clock = Clock()
        start = time.perf_counter()
        prepared = prepare(read_table(frame), config, Path(folder))
        network = on_cached(prepared.network, prepared.cached)
        fit(network, prepared.config, prepared.rows, Path(folder), [clock])
    first, second, third = (after - before for before, after in zip([start, *clock.at], clock.at, strict=False))
    print(json.dumps({"rows": len(frame), "epoch_s": [first, second, third], "ratio": first / second}))


if __name__ == "__main__":
    main()
