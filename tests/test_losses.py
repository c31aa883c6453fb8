"""The loss by hand: each head over the rows it sees, the fused answer over rows with several senses."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from sightsound.losses import losses
from sightsound.types import Filled, Output


def test_by_hand() -> None:
    torch.manual_seed(0)
    logits, image, audio = torch.randn(3, 3, 4)
    target = torch.tensor([0, 1, 3])
    present = {"image": torch.tensor([True, True, False]), "audio": torch.tensor([True, False, True])}
    loss = losses(Output(logits, {"image": image, "audio": audio}, None, {}), present, target)
    by_hand = (
        cross_entropy(logits[:1], target[:1])
        + cross_entropy(image[:2], target[:2])
        + cross_entropy(audio[[0, 2]], target[[0, 2]])
    )
    assert sum(loss.values()).item() == pytest.approx(by_hand.item())


def test_no_row_with_both_gives_no_nan() -> None:
    present = {"image": torch.tensor([True]), "audio": torch.tensor([False])}
    scores = {"image": torch.tensor([[0.0, 0.0]]), "audio": torch.tensor([[0.0, 0.0]])}
    loss = losses(Output(torch.full((1, 2), 5.0), scores, None, {}), present, torch.tensor([1]))
    assert sum(loss.values()).item() == pytest.approx(torch.tensor(2.0).log().item())


def test_a_row_counts_where_its_absent_modality_was_imputed() -> None:
    logits, image, audio = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 3])
    present = {"image": torch.tensor([True, True, True]), "audio": torch.tensor([True, False, False])}
    imputed = Filled(torch.zeros(3, 1, 2), torch.tensor([False, True, False]), torch.zeros(3))
    scores = {"image": image, "audio": audio}
    loss = losses(Output(logits, scores, None, {}, {"audio": imputed}), present, target)
    assert loss["fused"].item() == pytest.approx(cross_entropy(logits[:2], target[:2]).item())
    assert loss["audio"].item() == pytest.approx(cross_entropy(audio[:1], target[:1]).item())  # not the imputed ones
