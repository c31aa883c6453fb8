"""The loss by hand: each head over the rows it sees, the fused answer over rows with several modalities."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from sightsound.network.losses import RowLoss, RowMeans, losses, rows_with_loss
from sightsound.types import Imputed, Output

PLAIN = RowLoss(4)


def weighted(*weights: float) -> RowLoss:
    row_loss = RowLoss(len(weights))
    row_loss.weight.copy_(torch.tensor(weights))
    return row_loss


def test_a_row_counts_as_its_class() -> None:
    logits, target = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 2, 1])
    torch.testing.assert_close(RowLoss(3)(logits, target), cross_entropy(logits, target, reduction="none"))
    weights = torch.tensor([0.5, 1.0, 4.0])
    by_hand = []
    for row, k in zip(logits.exp(), target, strict=True):
        by_hand.append(-weights[k] * torch.log(weights[k] * row[k] / (weights * row).sum()))
    torch.testing.assert_close(weighted(0.5, 1.0, 4.0)(logits, target), torch.stack(by_hand))


def test_weights_do_not_change_what_is_learned_of_a_class_s_frequency() -> None:
    """Without any input, softmax of the logits is the share of each class, however the classes are weighted."""
    target = torch.tensor([0] * 90 + [1] * 8 + [2] * 2)
    for row_loss in (RowLoss(3), weighted(0.4, 4.0, 17.0)):
        bias = torch.zeros(3, requires_grad=True)
        optimizer = torch.optim.LBFGS([bias], max_iter=200, line_search_fn="strong_wolfe")

        def step(row_loss: RowLoss = row_loss, bias: torch.Tensor = bias, of: torch.optim.LBFGS = optimizer):
            of.zero_grad()
            loss = row_loss(bias.expand(100, 3), target).mean()
            loss.backward()
            return loss

        optimizer.step(step)
        torch.testing.assert_close(bias.softmax(0).detach(), torch.tensor([0.9, 0.08, 0.02]), atol=1e-3, rtol=0)


def test_by_hand() -> None:
    torch.manual_seed(0)
    logits, image, audio = torch.randn(3, 3, 4)
    target = torch.tensor([0, 1, 3])
    present = {"image": torch.tensor([True, True, False]), "audio": torch.tensor([True, False, True])}
    loss = losses(PLAIN, Output(logits, {"image": image, "audio": audio}, None, {}), present, target)
    by_hand = (
        cross_entropy(logits[:1], target[:1])
        + cross_entropy(image[:2], target[:2])
        + cross_entropy(audio[[0, 2]], target[[0, 2]])
    )
    assert sum(loss.values()).item() == pytest.approx(by_hand.item())


def test_no_row_with_both_gives_no_nan() -> None:
    present = {"image": torch.tensor([True]), "audio": torch.tensor([False])}
    scores = {"image": torch.tensor([[0.0, 0.0]]), "audio": torch.tensor([[0.0, 0.0]])}
    loss = losses(RowLoss(2), Output(torch.full((1, 2), 5.0), scores, None, {}), present, torch.tensor([1]))
    assert sum(loss.values()).item() == pytest.approx(torch.tensor(2.0).log().item())


def output_of(rows: list[list[float]]) -> tuple[Output, torch.Tensor]:
    """Logits, whatever the modality, whose cross-entropy for class 0 is the number given, per row; and the target."""
    values = {name: torch.tensor(row) for name, row in zip(("fused", "image", "audio"), rows, strict=True)}
    logits = {name: torch.stack([-v, torch.log1p(-torch.exp(-v))], 1) for name, v in values.items()}
    output = Output(logits["fused"], {m: logits[m] for m in ("image", "audio")}, None, {})
    return output, torch.zeros(len(rows[0]), dtype=torch.long)


def test_every_row_counts_the_same_whatever_batch_it_is_in() -> None:
    means = RowMeans()
    output, target = output_of([[1.0, 2.0, 3.0], [0.5, 0.5, 2.0], [4.0, 4.0, 4.0]])
    present = {"image": torch.tensor([True, True, True]), "audio": torch.tensor([True, True, False])}
    means.add(losses(RowLoss(2), output, present, target), rows_with_loss(output, present))
    output, target = output_of([[9.0], [7.0], [9.0]])  # a last batch of one row, without a sound
    present = {"image": torch.tensor([True]), "audio": torch.tensor([False])}
    means.add(losses(RowLoss(2), output, present, target), rows_with_loss(output, present))
    assert means.means() == pytest.approx({"fused": 1.5, "image": (0.5 + 0.5 + 2 + 7) / 4, "audio": 4.0}, rel=1e-3)


def test_a_row_blended_of_two_counts_once() -> None:
    means = RowMeans()
    output, target = output_of([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]])
    present = {m: torch.tensor([True, True]) for m in ("image", "audio")}
    for share in (torch.tensor([0.25, 1.0]), torch.tensor([0.75, 0.0])):
        means.add(losses(RowLoss(2), output, present, target, share), rows_with_loss(output, present), share)
    assert means.means() == pytest.approx({"fused": 1.5, "image": 1.5, "audio": 1.5}, rel=1e-3)


def test_means_without_rows_are_zero() -> None:
    means = RowMeans()
    output, target = output_of([[1.0], [1.0], [1.0]])
    present = {"image": torch.tensor([True]), "audio": torch.tensor([False])}
    means.add(losses(RowLoss(2), output, present, target), rows_with_loss(output, present))
    assert means.means()["audio"] == means.means()["fused"] == 0


def test_a_row_counts_where_its_absent_modality_was_imputed() -> None:
    logits, image, audio = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(0))
    target = torch.tensor([0, 1, 3])
    present = {"image": torch.tensor([True, True, True]), "audio": torch.tensor([True, False, False])}
    imputed = Imputed(torch.zeros(3, 1, 2), torch.tensor([False, True, False]), torch.zeros(3))
    scores = {"image": image, "audio": audio}
    loss = losses(PLAIN, Output(logits, scores, None, {}, {"audio": imputed}), present, target)
    assert loss["fused"].item() == pytest.approx(cross_entropy(logits[:2], target[:2]).item())
    assert loss["audio"].item() == pytest.approx(cross_entropy(audio[:1], target[:1]).item())  # not the imputed ones
