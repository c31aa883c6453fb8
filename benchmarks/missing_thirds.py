"""A third of the images and a third of the sounds missing by chance, in training and test: what fusion makes of it.

`sightsound compare` on such a table, and beside it plain concatenation as the literature trains it: one classifier on
both embeddings, zeros for what is missing, the fused loss alone. Same encoders, augmentation, optimiser, epochs, seeds.

    python benchmarks/missing_thirds.py --data mnist+fsdd --root ../shared/data --pairs 20000 --epochs 10 --seeds 3
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import sightsound as ss
from sightsound.config import Config
from sightsound.data.dataset import Rows, loader
from sightsound.data.datasets import dataset
from sightsound.data.sources import SourceOptions
from sightsound.data.table import read_table
from sightsound.modalities.base import MODALITIES
from sightsound.network.build import build_network
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training.augment import Augment
from sightsound.training.feature_cache import on_cached
from sightsound.training.prepare import Prepared, prepare
from sightsound.types import Batch

MISSING = 1 / 3


def with_gaps(table: Path, folder: Path) -> Path:
    """The table without a third of each modality's files, and without the rows that have neither."""
    known = read_table(table)
    frame = known.frame.drop(columns="row")
    rng = np.random.default_rng(0)
    for m in MODALITIES:
        paths = frame[m].map(lambda name: str(known.path(name).resolve()))
        frame[m] = np.where(rng.random(len(frame)) < MISSING, "", paths)
    frame = frame[(frame[list(MODALITIES)] != "").any(axis=1)]
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


class Plain(nn.Module):
    """Encoders and one classifier; an absent modality's embedding is zeros."""

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        """Features -> logits (B, C)."""
        encoded = self.network.encode(batch.inputs, batch.present)
        there = {m: torch.where(batch.present[m][:, None], z, 0) for m, z in encoded.unimodal.items()}
        logits: Tensor = self.network.fusion.combine(there, {}, batch.present).logits
        return logits


def plain_concat(prepared: Prepared, config: Config) -> float:
    """Test accuracy of the epoch that is best on validation rows."""
    network = build_network(config, len(prepared.labels))
    known = prepared.network.state_dict()
    network.load_state_dict({n: v for n, v in known.items() if n.startswith("standardize.")}, strict=False)
    cached = on_cached(network, prepared.cached)
    return _trained(Plain(cached.to(memory_format=torch.channels_last)), prepared, config)


def _trained(plain: Plain, prepared: Prepared, config: Config) -> float:
    augment, rows, epochs = Augment(config), prepared.rows, config.epochs or 1
    trained = [p for n, p in plain.named_parameters() if "heads." not in n]
    batches = loader(rows["train"], config.batch_size, config.seed)
    optimizer = torch.optim.AdamW(trained, weight_decay=config.weight_decay, fused=True)
    steps = epochs * len(batches)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, steps, pct_start=0.05)
    best = (0.0, 0.0)
    for epoch in range(epochs):
        batches.sampler.set_epoch(epoch)
        plain.train()
        for batch in batches:
            loss = cross_entropy(plain(augment(plain.network, batch)), batch.target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        best = max(best, (_accuracy(plain, rows["val"]), _accuracy(plain, rows["test"])), key=lambda both: both[0])
    return best[1]


@torch.no_grad()
def _accuracy(plain: Plain, rows: Rows) -> float:
    plain.eval()
    right = [(plain(plain.network.featurize(b)).argmax(1) == b.target).float() for b in loader(rows, 256)]
    return float(torch.cat(right).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist+fsdd")
    parser.add_argument("--root", default="../shared/data")
    parser.add_argument("--pairs", type=int, default=20_000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--strategies", default="all")
    given = parser.parse_args()
    table = dataset(given.data, SourceOptions(root=given.root, pairs=given.pairs))
    with tempfile.TemporaryDirectory() as name:
        gaps = with_gaps(table, Path(name))
        options = ss.CompareOptions(given.strategies, seeds=given.seeds)
        done = ss.compare(gaps, options=options, out=Path(name) / "run", epochs=given.epochs)
        config = Config(epochs=given.epochs)
        prepared = prepare(read_table(gaps), config, Path(name))
        plain = []
        for seed in range(given.seeds):
            one = Config(**{**vars(prepared.config), "seed": seed})
            plain.append(plain_concat(prepared, one))
            print(json.dumps({"seed": seed, "plain": plain[-1]}), flush=True)
    known = {row.name: row for row in done.rows}
    print("\n".join(done.found.lines))
    chosen = known[done.found.accuracy]
    print(f"recommended {chosen.name} {chosen.accuracy:.4f}, alone {chosen.alone}; plain {np.mean(plain):.4f}")
    print(f"own concat {known['concat'].accuracy:.4f}" if "concat" in known else "")


if __name__ == "__main__":
    main()
