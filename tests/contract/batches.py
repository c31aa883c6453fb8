"""What the contract tests share: a network with small encoders, and batches for it."""

import dataclasses
from typing import Any

import torch

from sightsound.config import AudioConfig, Config, ImageConfig
from sightsound.network.build import build_network
from sightsound.network.classifier import ClassifierNetwork
from sightsound.types import Batch

CLASSES = 4
SIZES = {"image": ImageConfig(height=16, width=12, channels=1), "audio": AudioConfig(clip_seconds=0.3, mel_bins=16)}


def network_with(
    fusion: str, seed: int = 0, fusion_options: dict[str, Any] | None = None, **encoders: str
) -> ClassifierNetwork:
    sections = {m: dataclasses.replace(SIZES[m], encoder=encoders.get(m, SIZES[m].encoder)) for m in SIZES}
    network = build_network(Config(fusion=fusion, fusion_options=fusion_options or {}, seed=seed, **sections), CLASSES)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.fusion.parameters():  # some begin at zero, where nothing could be seen to go wrong
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    return network


def batch_of(rows: int, seed: int = 0, missing: bool = False) -> Batch:
    """Decoded inputs; with `missing`, rows take turns in having both, image only, audio only."""
    generator = torch.Generator().manual_seed(seed)
    turn = torch.arange(rows) % 3 if missing else torch.zeros(rows)
    return Batch(
        {
            "image": torch.randint(0, 256, (rows, 16, 12, 1), generator=generator, dtype=torch.uint8),
            "audio": torch.rand(rows, 4800, generator=generator) * 2 - 1,
        },
        {"image": turn != 2, "audio": turn != 1},
        torch.arange(rows) % CLASSES,
    )
