"""Audio-visual MNIST against the literature's small LeNets: how hard each modality is, for several ranges of noise.

The networks of the literature on these data (Perez-Rua et al., MFAS, 2019; Liang et al., MultiBench, 2021): blocks of
a 3 x 3 convolution (the first 5 x 5), batch norm, ReLU and max-pool, 6 channels doubled in each block; 3 blocks see the
image, 5 hear the 112 x 112 log spectrogram; one dense layer. Validation chooses the epoch, test is read once.

    python benchmarks/avmnist_lenet.py --root ../shared/data --snr -8,0 -6,2 -4,4 --train 20000
"""

import argparse
import json
import time

import numpy as np
import torch
from torch import nn

from sightsound.data.sources import avmnist
from sightsound.data.sources.base import SourceOptions
from sightsound.hardware import tune_process


def lenet(blocks: int, side: int) -> nn.Module:
    layers: list[nn.Module] = []
    channels = 1
    for block in range(blocks):
        after, size = 6 * 2**block, 5 if block == 0 else 3
        layers += [nn.Conv2d(channels, after, size, padding=size // 2, bias=False), nn.BatchNorm2d(after)]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
        channels, side = after, side // 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, 10))


def accuracy(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    network.eval()
    with torch.no_grad():
        right = [(network(scaled(a)).argmax(1) == b).sum() for a, b in zip(x.split(500), y.split(500), strict=True)]
    return float(torch.stack(right).sum() / len(y))


def scaled(x: torch.Tensor) -> torch.Tensor:
    return x.float().unsqueeze(1) / 255


def train(blocks: int, data: dict[str, tuple[torch.Tensor, torch.Tensor]], epochs: int, seed: int) -> dict[str, float]:
    """Adam with a one-cycle schedule; test accuracy of the epoch that is best on validation."""
    torch.manual_seed(seed)
    x, y = data["train"]
    network = lenet(blocks, x.shape[-1])
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2, weight_decay=1e-2)
    steps = -(-len(x) // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, epochs * steps)
    best = (0.0, 0.0, 0)
    for epoch in range(epochs):
        network.train()
        for rows in torch.randperm(len(x)).split(128):
            loss = nn.functional.cross_entropy(network(scaled(x[rows])), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        best = max(best, (accuracy(network, *data["val"]), accuracy(network, *data["test"]), epoch + 1))
    return {"val": best[0], "test": best[1], "epoch": best[2]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default="../shared/data")
    parser.add_argument("--snr", nargs="+", default=[",".join(map(str, avmnist.SNR_DB))])
    parser.add_argument("--train", type=int, default=avmnist.TRAIN, help="training pairs that are used")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    tune_process()
    options = SourceOptions(root=given.root)
    pairs = avmnist.pair(options)
    keep = np.flatnonzero((pairs["split"] != "train") | (pairs.groupby("split").cumcount() < given.train))
    pairs = pairs.iloc[keep].reset_index(drop=True)
    label = torch.from_numpy(pairs["label"].to_numpy(np.int64))
    place = {split: torch.from_numpy(np.flatnonzero(pairs["split"] == split)) for split in ("train", "val", "test")}

    def measured(name: str, blocks: int, values: np.ndarray) -> None:
        x = torch.from_numpy(values)
        data = {split: (x[rows], label[rows]) for split, rows in place.items()}
        for seed in range(given.seeds):
            start = time.perf_counter()
            result = train(blocks, data, given.epochs, seed)
            print(
                json.dumps({"what": name, "seed": seed, "seconds": time.perf_counter() - start, **result}), flush=True
            )

    pixels = avmnist.blurred(options)
    images = [pixels[part][i].reshape(28, 28) for part, i in zip(pairs["part"], pairs["mnist_index"], strict=True)]
    measured("image", 3, np.stack(images))
    for text in given.snr:
        low, high = map(float, text.split(","))
        parts = [avmnist.spectrograms(waves) for _, waves in avmnist.rendered(pairs, 0, (low, high))]
        measured(f"audio, {low:g} to {high:g} dB", 5, np.concatenate(parts))


if __name__ == "__main__":
    main()
