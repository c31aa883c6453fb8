"""Every registered strategy keeps the contract; a new one is covered without a line added here."""

import copy

import pytest
import torch

from sightsound.fusion import STRATEGIES
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import losses
from sightsound.types import Batch, Output
from tests.contract.batches import CLASSES, batch_of, network_with

pytestmark = pytest.mark.parametrize("fusion", STRATEGIES)


def seeded(network: ClassifierNetwork, batch: Batch) -> Output:
    torch.manual_seed(0)  # for strategies that draw by chance while training
    return network(batch)


def step(network: ClassifierNetwork, batch: Batch) -> torch.Tensor:
    network.train()
    torch.manual_seed(0)
    loss = torch.stack(list(losses(network.row_loss, network(batch), batch.present, batch.target).values())).sum()
    loss.backward()
    return loss.detach()


def test_every_parameter_is_trained_and_saved(fusion: str) -> None:
    network = network_with(fusion)
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    step(network, batch_of(6))
    optimizer.step()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert name in before
        assert not torch.equal(before[name], parameter), f"{name} did not move"


@pytest.mark.parametrize("content", [float("nan"), float("inf"), 1e6])
def test_what_is_behind_an_absent_flag_changes_nothing(fusion: str, content: float) -> None:
    network = network_with(fusion)
    batch = batch_of(6, missing=True)
    absent = ~batch.present["audio"]
    changed = batch._replace(inputs={m: x.clone() for m, x in batch.inputs.items()})
    changed.inputs["audio"][absent] = content
    changed.inputs["image"][~batch.present["image"]] = 255
    clean, dirty = seeded(network, batch), seeded(network, changed)
    assert torch.equal(clean.logits, dirty.logits)
    for modality in clean.unimodal_logits:
        assert torch.equal(clean.unimodal_logits[modality], dirty.unimodal_logits[modality])
    other = copy.deepcopy(network)
    assert torch.equal(step(network, batch), step(other, changed))
    for (name, parameter), twin in zip(network.named_parameters(), other.parameters(), strict=True):
        assert torch.equal(parameter.grad, twin.grad), name


def test_rows_do_not_touch_each_other(fusion: str) -> None:
    network = network_with(fusion).eval()
    batch = batch_of(6, missing=True)
    together = network(batch).logits
    for i in range(6):
        row = Batch(
            {m: x[i : i + 1] for m, x in batch.inputs.items()}, {m: p[i : i + 1] for m, p in batch.present.items()}
        )
        torch.testing.assert_close(network(row).logits[0], together[i], rtol=1e-4, atol=1e-5)


def test_the_order_of_dicts_changes_nothing(fusion: str) -> None:
    network = network_with(fusion)
    batch = batch_of(4, missing=True)
    turned = Batch(dict(reversed(batch.inputs.items())), dict(reversed(batch.present.items())), batch.target)
    assert torch.equal(seeded(network, batch).logits, seeded(network, turned).logits)


def test_inputs_are_not_modified(fusion: str) -> None:
    network = network_with(fusion)
    batch = batch_of(5, missing=True)
    kept = copy.deepcopy(batch)
    step(network, batch)
    for part, before in ((batch.inputs, kept.inputs), (batch.present, kept.present)):
        assert list(part) == list(before)
        for m in part:
            assert torch.equal(part[m], before[m])


def test_combine_does_not_modify_what_it_is_given(fusion: str) -> None:
    network = network_with(fusion)
    batch = network.featurize(batch_of(3))
    encoded = network.encode(batch.inputs, batch.present)
    logits = {m: torch.randn(3, CLASSES) for m in encoded.fused}
    given = (encoded.fused, logits, batch.present)
    kept = copy.deepcopy([{m: x.detach() for m, x in part.items()} for part in given])
    network.fusion.combine(*given, encoded.shared)
    for part, before in zip(given, kept, strict=True):
        assert all(torch.equal(part[m], before[m]) for m in before) and list(part) == list(before)


@pytest.mark.parametrize("missing", [False, True])
def test_a_batch_of_one_works(fusion: str, missing: bool) -> None:
    network = network_with(fusion)
    batch = batch_of(3, missing=missing)
    for i in range(3):
        row = Batch(
            {m: x[i : i + 1] for m, x in batch.inputs.items()},
            {m: p[i : i + 1] for m, p in batch.present.items()},
            batch.target[i : i + 1],
        )
        assert step(network, row).isfinite()
        assert network.eval()(row).logits.shape == (1, CLASSES)


def test_one_modality_is_answered_by_its_own_head(fusion: str) -> None:
    network = network_with(fusion)
    output = network(batch_of(6, missing=True))
    for i, modality in ((1, "image"), (2, "audio")):
        assert torch.equal(output.logits[i], output.unimodal_logits[modality][i])


def test_subsets_are_the_same_as_hiding(fusion: str) -> None:
    network = network_with(fusion).eval()
    features = network.featurize(batch_of(6))
    subsets = [("image", "audio"), ("image",), ("audio",)]
    for subset, output in zip(subsets, network.fuse_subsets(features, subsets), strict=True):
        shown = {m: torch.full((6,), m in subset) for m in features.present}
        torch.testing.assert_close(output.logits, network.fuse(features._replace(present=shown)).logits)


def test_weights_are_shares(fusion: str) -> None:
    batch = batch_of(6, missing=True)
    weights = network_with(fusion)(batch).weights
    if weights is not None:
        assert all(w.shape == (6,) and (w >= 0).all() for w in weights.values())
        assert all((weights[m][~batch.present[m]] == 0).all() for m in weights)
        torch.testing.assert_close(sum(weights.values()), torch.ones(6))


def test_state_dict_round_trip(fusion: str) -> None:
    network, other = network_with(fusion, seed=0).eval(), network_with(fusion, seed=1).eval()
    batch = batch_of(4)
    assert not torch.equal(network(batch).logits, other(batch).logits)
    other.load_state_dict(network.state_dict())
    assert torch.equal(network(batch).logits, other(batch).logits)


def test_a_seed_decides_everything(fusion: str) -> None:
    runs = []
    for _ in range(2):
        network = network_with(fusion, seed=3)
        runs.append((step(network, batch_of(5)), [p.grad for p in network.parameters()]))
    assert torch.equal(runs[0][0], runs[1][0])
    assert all(torch.equal(a, b) for a, b in zip(runs[0][1], runs[1][1], strict=True))


def test_it_can_learn(fusion: str) -> None:
    network, batch = network_with(fusion), batch_of(8)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = step(network, batch)
        optimizer.step()
        if loss < 0.02 and (network.eval()(batch).logits.argmax(1) == batch.target).all():
            return
        network.train()
    pytest.fail(f"the loss is still {loss}")
