"""Every registered way to balance the senses keeps the contract; a new one is covered without a line added here."""

import copy
import math

import pytest
import torch

from sightsound.config import Config
from sightsound.fusion import DECISION, FEATURE, HIERARCHICAL, STRATEGIES
from sightsound.model import ClassifierNetwork
from sightsound.training.balances import BALANCES, Apart, GradientBlend, Heads, OgmGe
from tests.contract.batches import batch_of, network_with

ONE_EACH = [next(iter(family)) for family in (FEATURE, DECISION, HIERARCHICAL)]


def stepped(balance: Heads, network: ClassifierNetwork, missing: bool = False) -> torch.Tensor:
    torch.manual_seed(0)
    network.heads_teach, network.fusion_teaches = balance.heads_teach, balance.fusion_teaches
    network.zero_grad()
    batch = network.featurize(batch_of(6, missing=missing))
    loss = balance.loss(network.fuse(batch), batch, batch.target)
    loss.backward()
    balance.after_backward(network)
    return loss.detach()


@pytest.mark.parametrize("fusion", ONE_EACH)
@pytest.mark.parametrize("name", BALANCES)
@pytest.mark.parametrize("missing", [False, True])
def test_every_head_learns_and_nothing_is_nan(name: str, fusion: str, missing: bool) -> None:
    network = network_with(fusion)
    assert stepped(BALANCES[name](network), network, missing).isfinite()
    for head in network.heads.values():
        assert head.weight.grad.abs().sum() > 0
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", BALANCES)
def test_a_state_that_was_saved_gives_the_same_loss(name: str) -> None:
    network = network_with("concat")
    one = BALANCES[name](network)
    for epoch in range(3):
        stepped(one, network)
        one.after_epoch({"fused": 1.0 / (epoch + 1), "image": 2.0 / (epoch + 1), "audio": 3.0})
    other = BALANCES[name](network)
    other.restore(copy.deepcopy(one.state()))
    assert torch.equal(stepped(one, network), stepped(other, network))


@pytest.mark.parametrize("name", BALANCES)
def test_every_balance_can_be_configured(name: str) -> None:
    assert Config(balance=name).balance == name


def test_none_leaves_the_encoders_to_the_fused_answer() -> None:
    network = network_with("vote")  # whose fused answer trains nothing
    stepped(BALANCES["none"](network), network)
    assert all(p.grad is None or not p.grad.any() for p in network.encoders.parameters())
    stepped(BALANCES["heads"](network), network)
    assert all(p.grad.any() for p in network.encoders.image.parameters())


def gradients(balance: type[Heads], fusion: str) -> dict[str, torch.Tensor]:
    """By name, with weights of the senses that do not depend on the strategy."""
    network, senses = network_with(fusion), network_with("vote").state_dict()
    network.load_state_dict({n: v for n, v in senses.items() if not n.startswith("fusion.")}, strict=False)
    stepped(balance(network), network)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_apart_no_strategy_touches_what_a_sense_learns(fusion: str) -> None:
    found, alone = gradients(Apart, fusion), gradients(Apart, "vote")
    assert all(torch.equal(found[name], alone[name]) for name in alone)
    together = gradients(Heads, fusion)
    for name in set(found) - set(alone):  # the strategy learns what it would otherwise
        torch.testing.assert_close(found[name], together[name])
    if fusion not in DECISION:  # which are never taught by their strategy
        assert any(not torch.equal(together[name], alone[name]) for name in alone)


def test_gradient_modulation_slows_the_sense_that_is_ahead() -> None:
    network = network_with("concat")
    plain = {m: [] for m in network.modalities}
    stepped(Heads(network), network)
    for m in plain:
        plain[m] = [p.grad.clone() for p in network.encoders[m].parameters()]
    balance = OgmGe(network)
    balance.certainty = {"image": 0.9, "audio": 0.3}
    torch.manual_seed(0)
    balance.after_backward(network)
    assert all(
        torch.equal(a, p.grad) for a, p in zip(plain["audio"], network.encoders["audio"].parameters(), strict=True)
    )
    factor = 1 - math.tanh(OgmGe.ALPHA * 3)
    torch.manual_seed(0)
    for before, p in zip(plain["image"], network.encoders["image"].parameters(), strict=True):
        expected = before * factor + torch.randn_like(before) * before.std() if p.dim() > 1 else before
        torch.testing.assert_close(p.grad, expected)


def test_gradient_blending_trusts_what_generalises() -> None:
    network = network_with("concat")
    balance = GradientBlend(network)
    balance.before = {
        "val": {"fused": 1.0, "image": 1.0, "audio": 1.0},
        "gap": dict.fromkeys(("fused", "image", "audio"), 0.0),
    }
    balance.steps = [{name: torch.tensor(0.4) for name in ("fused", "image", "audio")}]
    balance.after_epoch({"fused": 0.5, "image": 0.5, "audio": 0.9})  # the sound overfits
    gain, overfit = {"fused": 0.5, "image": 0.5, "audio": 0.1}, {"fused": 0.1, "image": 0.1, "audio": 0.5}
    ratio = {name: gain[name] / overfit[name] ** 2 for name in gain}
    expected = {name: 0.5 + 1.5 * value / sum(ratio.values()) for name, value in ratio.items()}
    assert balance.weights == pytest.approx(expected) and sum(balance.weights.values()) == pytest.approx(3)
