"""Mixup: labels are blended by the same shares as inputs, and only among rows that have the same modalities."""

import dataclasses

import torch
from torch import Tensor

from sightsound.config import NO_CHANGES, Config
from sightsound.network.classifier import EVERY_LOSS, GradientFlow
from sightsound.training.augment import Augment
from sightsound.types import Batch

ROWS = 40


class Recorder:
    """In place of network and balance: keeps what each is given."""

    flow = EVERY_LOSS

    def __init__(self) -> None:
        self.fused: list[Batch] = []
        self.losses: list[tuple[Tensor, Tensor]] = []

    def fuse(self, batch: Batch, impute: None, flow: GradientFlow, shown: None) -> Batch:
        self.fused.append(batch)
        return batch

    def loss(self, output: Batch, batch: Batch, target: Tensor, weight: Tensor) -> Tensor:
        self.losses.append((target, weight))
        return weight.sum()


def test_mixup_blends_labels_as_inputs_and_only_rows_of_the_same_presence() -> None:
    torch.manual_seed(0)
    present = {"image": torch.ones(ROWS, dtype=torch.bool), "audio": torch.arange(ROWS) % 2 == 0}
    inputs = {m: torch.eye(ROWS) * there[:, None] for m, there in present.items()}  # each row shows its own number
    seen = Recorder()
    augment = Augment(Config(augment=dataclasses.replace(NO_CHANGES, mixup=1.0)))
    total = augment.loss(seen, Batch(inputs, present, torch.arange(ROWS)), seen)
    [blended], [(own, share), (other, rest)] = seen.fused, seen.losses
    torch.testing.assert_close(share + rest, torch.ones(ROWS))
    torch.testing.assert_close(total, torch.tensor(float(ROWS)))
    labels = torch.zeros(ROWS, ROWS)
    labels[torch.arange(ROWS), own] += share
    labels[torch.arange(ROWS), other] += rest
    torch.testing.assert_close(blended.inputs["image"], labels)
    torch.testing.assert_close(blended.inputs["audio"], labels * present["audio"][:, None])
    mixed = (rest > 0) & (other != own)
    assert mixed.sum() > ROWS / 4 and (present["audio"][own] == present["audio"][other])[mixed].all()
