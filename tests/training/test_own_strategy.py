"""A user's strategy and encoder from outside the package: one file, named by its dotted path, as CONTRIBUTING shows."""

import sys
from pathlib import Path

import pytest

import sightsound as ss

STRATEGY = '''
from torch import nn
from sightsound.fusion.base import Combined, Fusion


class Multiply(Fusion):
    """Product of the projected embeddings."""

    def __init__(self, embedding_sizes, stage_channels, classes):
        super().__init__(embedding_sizes, stage_channels, classes)
        self.project = nn.ModuleDict({m: nn.Linear(embedding_sizes[m], 32) for m in self.modalities})
        self.classify = nn.Linear(32, classes)

    def combine(self, embeddings, scores, present, shared=None):
        product = 1
        for m in self.modalities:
            product = product * self.project[m](embeddings[m])
        return Combined(self.classify(product), None)
'''
ENCODER = '''
from torch import nn
from sightsound.encoders.base import Encoder


class Flat(Encoder):
    """Dense layers on the pixels."""

    def __init__(self, shape):
        super().__init__()
        self.stage_channels = [32, 32, 32]
        size = shape[0] * shape[1] * shape[2]
        first = nn.Sequential(nn.Flatten(), nn.Linear(size, 32), nn.ReLU())
        rest = [nn.Sequential(nn.Linear(32, 32), nn.ReLU()) for _ in range(2)]
        self.stages = nn.ModuleList([first, *rest])
        self.pool = nn.Identity()
        self.embedding_size = 32
'''


def test_own_classes_train_save_and_load(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(STRATEGY + ENCODER)
    monkeypatch.syspath_prepend(tmp_path)
    options = {"fusion": "mine.Multiply", "image": {"encoder": "mine.Flat"}}
    classifier = ss.train(table, out=tmp_path / "run", epochs=15, batch_size=16, say=lambda line: None, **options)
    assert classifier.metrics["subsets"]["image+audio"]["accuracy"] > 0.8
    assert type(classifier.network.fusion).__name__ == "Multiply"
    assert ss.load(tmp_path / "run" / "bundle").predict(image=table.parent / "low-0.png").label in classifier.classes_
    sys.modules.pop("mine")
