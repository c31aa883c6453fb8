"""Every registered way to balance the modalities keeps the contract; a new one is covered without a line added here."""

import copy
import math

import pytest
import torch

from sightsound.config import Config
from sightsound.fusion import DECISION, FEATURE, HIERARCHICAL, STRATEGIES
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import losses
from sightsound.training.balances import BALANCES, Auxiliary, Detached, FusedOnly, GradientBlend, OgmGe
from sightsound.types import Batch, Imputed, Output
from tests.contract.batches import batch_of, network_with

ONE_EACH = [next(iter(family)) for family in (FEATURE, DECISION, HIERARCHICAL)]


def stepped(balance: Auxiliary, network: ClassifierNetwork, missing: bool = False) -> torch.Tensor:
    torch.manual_seed(0)
    network.zero_grad()
    batch = network.featurize(batch_of(6, missing=missing))
    loss = balance.loss(network.fuse(batch, flow=balance.flow), batch, batch.target)
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
def test_a_state_that_was_saved_gives_the_same_step(name: str) -> None:
    network = network_with("concat")
    one = BALANCES[name](network)
    for epoch in range(3):
        stepped(one, network)
        one.after_epoch({"fused": 1.0 / (epoch + 1), "image": 2.0 / (epoch + 1), "audio": 3.0})
    other = BALANCES[name](network)
    other.restore(copy.deepcopy(one.state()))
    steps = []
    for balance in (one, other):
        loss, after = [], []
        for _ in range(2):
            loss.append(stepped(balance, network))
            after += [p.grad.clone() for p in network.parameters() if p.grad is not None]
        steps.append([*loss, *after])
    assert len(steps[0]) == len(steps[1]) and all(map(torch.equal, *steps))


@pytest.mark.parametrize("name", BALANCES)
def test_every_balance_can_be_configured(name: str) -> None:
    assert Config(balance=name).balance == name


def test_none_leaves_the_encoders_to_the_fused_answer() -> None:
    network = network_with("vote")  # whose fused answer trains nothing
    stepped(BALANCES["fused-only"](network), network)
    assert all(p.grad is None or not p.grad.any() for p in network.encoders.parameters())
    stepped(BALANCES["auxiliary"](network), network)
    assert all(p.grad.any() for p in network.encoders.image.parameters())


def gradients(balance: type[Auxiliary], fusion: str) -> dict[str, torch.Tensor]:
    """By name, with weights of the modalities that do not depend on the strategy."""
    network, unimodal = network_with(fusion), network_with("vote").state_dict()
    network.load_state_dict({n: v for n, v in unimodal.items() if not n.startswith("fusion.")}, strict=False)
    stepped(balance(network), network)
    return {name: torch.zeros_like(p) if p.grad is None else p.grad for name, p in network.named_parameters()}


@pytest.mark.parametrize("fusion", STRATEGIES)
def test_apart_no_strategy_touches_what_a_modality_learns(fusion: str) -> None:
    found, alone = gradients(Detached, fusion), gradients(Detached, "vote")
    assert all(torch.equal(found[name], alone[name]) for name in alone)
    together = gradients(Auxiliary, fusion)
    for name in set(found) - set(alone):  # the strategy learns what it would otherwise
        torch.testing.assert_close(found[name], together[name])
    if fusion not in DECISION:  # whose encoders their strategy never trains
        assert any(not torch.equal(together[name], alone[name]) for name in alone)


def test_gradient_modulation_compares_the_modalities_on_the_rows_that_have_both() -> None:
    balance = OgmGe(network_with("concat"))
    sure = {"image": torch.tensor([0.9, 0.7, 0.2, 0.5]), "audio": torch.tensor([0.2, 0.2, 0.6, 0.1])}  # of class 0
    scores = {m: torch.stack([p, 1 - p, 0 * p, 0 * p], 1).clamp_min(1e-30).log() for m, p in sure.items()}
    present = {"image": torch.tensor([True, True, True, False]), "audio": torch.tensor([True, True, False, True])}
    output, target = Output(torch.zeros(4, 4), scores, None, {}), torch.zeros(4, dtype=torch.long)
    balance.loss(output, Batch({}, present, target), target)
    assert balance.certainty == pytest.approx({"image": 0.9 + 0.7, "audio": 0.2 + 0.2})
    balance.certainty = {}
    share = torch.tensor([0.25, 1.0, 1.0, 1.0])  # two rows that are blended: each class counts by its share
    balance.loss(output, Batch({}, present, target), target, share)
    balance.loss(output, Batch({}, present, target), 1 - target, 1 - share)
    assert balance.certainty["image"] == pytest.approx(0.25 * 0.9 + 0.75 * 0.1 + 0.7)


def encoder_gradients(network: ClassifierNetwork) -> dict[str, list[torch.Tensor]]:
    return {m: [p.grad.clone() for p in network.encoders[m].parameters()] for m in network.modalities}


def test_gradient_modulation_slows_the_modality_that_is_ahead_and_gives_noise_to_both() -> None:
    network = network_with("concat")
    stepped(FusedOnly(network), network)
    plain = encoder_gradients(network)
    balance = OgmGe(network)
    balance.certainty = {"image": 0.9, "audio": 0.3}
    torch.manual_seed(0)
    balance.after_backward(network)
    torch.manual_seed(0)
    for m, factor in {"image": 1 - math.tanh(0.3 * 3), "audio": 1.0}.items():
        for before, after in zip(plain[m], encoder_gradients(network)[m], strict=True):
            noise = torch.randn_like(before) * before.std(correction=0) if before.dim() > 1 else 0
            torch.testing.assert_close(after, (before * factor if before.dim() > 1 else before) + noise)
    assert balance.certainty == {}  # the next step has its own


@pytest.mark.parametrize("absent", ["image", "audio"])
def test_without_a_row_that_has_both_no_gradient_is_modulated(absent: str) -> None:
    network = network_with("concat")
    batch = network.featurize(batch_of(6))
    batch = batch._replace(present={**batch.present, absent: torch.zeros(6, dtype=torch.bool)})
    balance = OgmGe(network)
    sum(losses(network.row_loss, network.fuse(batch), batch.present, batch.target).values()).backward()
    plain = encoder_gradients(network)
    balance.loss(network.fuse(batch), batch, batch.target)
    balance.after_backward(network)
    for m in plain:
        assert all(torch.equal(a, b) for a, b in zip(plain[m], encoder_gradients(network)[m], strict=True))


def test_gradient_blending_trusts_what_generalises() -> None:
    network = network_with("concat")
    balance = GradientBlend(network)
    balance.before = {
        "val": {"fused": 1.0, "image": 1.0, "audio": 1.0},
        "gap": dict.fromkeys(("fused", "image", "audio"), 0.0),
    }
    for rows, loss in ((3, 0.2), (1, 1.0)):  # 0.4 over all rows
        each = {name: torch.tensor(loss) for name in ("fused", "image", "audio")}
        balance.after_losses(each, dict.fromkeys(each, torch.ones(rows, dtype=torch.bool)), 1.0)
    balance.after_epoch({"fused": 0.5, "image": 0.5, "audio": 0.9})  # the sound overfits
    gain, overfit = {"fused": 0.5, "image": 0.5, "audio": 0.1}, {"fused": 0.1, "image": 0.1, "audio": 0.5}
    ratio = {name: gain[name] / overfit[name] ** 2 for name in gain}
    expected = {name: 0.5 + 1.5 * value / sum(ratio.values()) for name, value in ratio.items()}
    assert balance.weights == pytest.approx(expected) and sum(balance.weights.values()) == pytest.approx(3)


@pytest.mark.parametrize("fusion", ONE_EACH)
def test_what_was_imputed_teaches_no_encoder_either(fusion: str) -> None:
    """The fused loss counts imputed rows; where it is kept from the encoders, it is so for these too."""
    network = network_with(fusion)
    batch = network.featurize(batch_of(6, missing=True))

    def fill(embeddings: dict[str, torch.Tensor], present: dict[str, torch.Tensor]) -> dict[str, Imputed]:
        return {
            m: Imputed(torch.ones(len(z), 1, z.shape[1]), ~present[m], z[:, 0] * 0 + 0.5) for m, z in embeddings.items()
        }

    output = network.fuse(batch, fill, Detached.flow)
    loss = losses(network.row_loss, output, batch.present, batch.target)["fused"]
    assert loss > 0
    if loss.requires_grad:
        loss.backward()
    assert all(p.grad is None or not p.grad.any() for name, p in network.named_parameters() if "fusion" not in name)
