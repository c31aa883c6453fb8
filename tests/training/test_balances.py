"""Balances of the literature against their own arithmetic, by hand."""

import math

import pytest
import torch
from torch import nn

from sightsound.errors import ConfigError
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import RowLoss
from sightsound.training.balances import Agm, Mla, MMPareto
from sightsound.training.balances.agm import attribute
from sightsound.training.balances.mla import without_direction
from sightsound.training.balances.mmpareto import integrate
from sightsound.types import Batch, Output
from tests.contract.batches import batch_of, network_with

BOTH = {m: torch.tensor([True]) for m in ("image", "audio")}


def test_gradients_that_agree_are_added_and_enlarged() -> None:
    assert integrate(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])).tolist() == [3.0, 1.5]
    assert integrate(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])).tolist() == [1.5, 3.0]  # a right angle
    assert integrate(torch.zeros(2), torch.tensor([2.0, 0.0])).tolist() == [3.0, 0.0]  # no fused gradient


def test_gradients_in_conflict_give_the_shortest_vector_between_them_as_long_as_their_sum() -> None:
    fused, own = torch.tensor([1.0, 0.0]), torch.tensor([-2.0, 1.0])
    # |0.7 fused + 0.3 own| = |(0.1, 0.3)| is least; twice that has the length sqrt(0.4), the sum (-1, 1) sqrt(2)
    expected = 1.5 * math.sqrt(2 / 0.4) * torch.tensor([0.2, 0.6])
    found = integrate(fused, own)
    torch.testing.assert_close(found, expected)
    assert found @ fused > 0 and found @ own > 0  # a step along it lowers both losses
    opposite = integrate(torch.tensor([1.0, 0.0]), torch.tensor([-1.0, 0.0]))
    assert opposite.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("scale", [1.0, 256.0])
def test_mmpareto_takes_each_losses_gradient_on_each_encoder(scale: float) -> None:
    network = network_with("concat")
    weight = {m: nn.Parameter(torch.zeros(2)) for m in network.modalities}
    for m in weight:
        network.encoders[m] = nn.ParameterList([weight[m]])
    balance = MMPareto(network)
    each = {
        "fused": weight["image"][0] + weight["audio"][0],
        "image": weight["image"] @ torch.tensor([-2.0, 1.0]),
        "audio": weight["audio"] @ torch.tensor([1.0, 1.0]),
    }
    balance.after_losses(each, {}, 1.0)
    (scale * sum(each.values())).backward()  # as a gradient scaler does
    balance.after_backward(network)
    expected = {
        m: scale * integrate(torch.tensor([1.0, 0.0]), own)
        for m, own in (("image", torch.tensor([-2.0, 1.0])), ("audio", torch.tensor([1.0, 1.0])))
    }
    for m in weight:
        torch.testing.assert_close(weight[m].grad, expected[m])


def test_agm_divides_the_fused_logits_by_shapley_values() -> None:
    fused, scores = (
        torch.tensor([[2.0, 0.0]]),
        {"image": torch.tensor([[1.0, 0.0]]), "audio": torch.tensor([[0.0, 0.0]])},
    )
    parts = attribute(fused, scores)
    assert {m: part.tolist() for m, part in parts.items()} == {"image": [[1.5, 0.0]], "audio": [[0.5, 0.0]]}
    assert torch.equal(sum(parts.values()), fused)


def agm_step(
    balance: Agm, network: ClassifierNetwork, fused: float, present: dict[str, torch.Tensor]
) -> dict[str, float]:
    """What the gradients of each encoder were multiplied by, after a row of class 0."""
    scores = {"image": torch.tensor([[1.0, 0.0]]), "audio": torch.tensor([[0.0, 0.0]])}
    target = torch.zeros(1, dtype=torch.long)
    balance.loss(Output(torch.tensor([[fused, 0.0]]), scores, None, {}), Batch({}, present, target), target)
    for parameter in network.encoders.parameters():
        parameter.grad = torch.ones_like(parameter)
    balance.after_backward(network)
    return {m: next(network.encoders[m].parameters()).grad.flatten()[0].item() for m in network.modalities}


def test_agm_slows_what_contributes_more_than_it_used_to() -> None:
    network = network_with("concat")
    balance = Agm(network)
    balance.row_loss = RowLoss(2)  # of the logits by hand
    s = {"image": math.log1p(math.exp(-1.5)), "audio": math.log1p(math.exp(-0.5))}  # cross-entropies of both parts
    ahead = math.exp(s["audio"] - s["image"])
    factors = agm_step(balance, network, 2.0, BOTH)
    assert factors == pytest.approx({"image": math.exp(0.3 * (1 - ahead)), "audio": math.exp(0.3 * (1 - 1 / ahead))})
    assert factors["image"] < 1 < factors["audio"]
    now = {"image": math.log1p(math.exp(-2.5)), "audio": math.log1p(math.exp(-1.5))}
    ratio = math.exp(now["audio"] - now["image"])
    factors = agm_step(balance, network, 4.0, BOTH)  # against the mean so far, that of one step
    expected = {"image": math.exp(0.3 * (ahead - ratio)), "audio": math.exp(0.3 * (1 / ahead - 1 / ratio))}
    assert factors == pytest.approx(expected)
    assert balance.means == pytest.approx({m: (s[m] + now[m]) / 2 for m in s})
    alone = {"image": torch.tensor([True]), "audio": torch.tensor([False])}
    assert agm_step(balance, network, 4.0, alone) == {"image": 1.0, "audio": 1.0}  # nothing to compare
    assert balance.steps == 2


def test_mla_projection_loses_what_a_batch_had_in_common() -> None:
    found = without_direction(torch.eye(2), torch.tensor([2.0, 0.0]), 0.1)
    torch.testing.assert_close(found, torch.diag(torch.tensor([1 - 4 / 4.1, 1.0])))
    both = without_direction(found, torch.tensor([1.0, 1.0]), 0.1)
    inverse = torch.eye(2) + torch.tensor([[4.0, 0.0], [0.0, 0.0]]) / 0.1 + torch.ones(2, 2) / 0.1
    torch.testing.assert_close(both, inverse.inverse(), rtol=1e-3, atol=1e-5)  # which is what it is in closed form


def test_mla_trains_the_modalities_by_turns_with_one_head() -> None:
    network, batch = network_with("concat"), batch_of(6)
    batch = network.featurize(batch)
    balance = Mla(network)
    optimizer = torch.optim.AdamW(network.parameters(), 0.01)
    seen = []
    for step in range(4):
        before = {m: [p.detach().clone() for p in network.encoders[m].parameters()] for m in network.modalities}
        optimizer.zero_grad()
        output = network.fuse(batch, flow=balance.flow)
        balance.loss(output, batch, batch.target).backward()
        active, plain = balance.active, network.heads[balance.active].weight.grad.clone()
        projection = torch.eye(plain.shape[1])
        for direction in seen:
            projection = without_direction(projection, direction, 0.1)
        balance.after_backward(network)
        torch.testing.assert_close(network.heads[active].weight.grad, plain @ projection)
        seen.append(output.embeddings[active].detach().mean(0))
        optimizer.step()
        moved = {
            m: any(not torch.equal(a, b) for a, b in zip(before[m], network.encoders[m].parameters(), strict=True))
            for m in network.modalities
        }
        assert moved == {"image": step % 2 == 0, "audio": step % 2 == 1}
        for own, other in zip(network.heads["image"].parameters(), network.heads["audio"].parameters(), strict=True):
            assert torch.equal(own, other)


def test_mla_needs_embeddings_of_one_size_and_says_so() -> None:
    with pytest.raises(ConfigError, match="image has 32, audio has 64"):
        Mla(network_with("concat", audio="bilstm"))
