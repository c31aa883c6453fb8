"""What a network costs, counted by hand."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sightsound.studies.comparison.cost import Live, costs
from tests.contract.batches import batch_of, network_with


def test_parameters_and_multiply_adds_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.studies.comparison.cost.REPEATS", 1)
    monkeypatch.setattr("sightsound.studies.comparison.cost.MANY", 2)
    network = network_with("vote", image="cnn", audio="bilstm")
    for encoder in network.encoders.values():
        encoder.stages = torch.nn.ModuleList([torch.nn.Identity()] * 3)
    network.encoders["image"].pool = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16 * 12, 128))
    network.encoders["audio"].pool = torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d((1, 10)), torch.nn.Flatten(), torch.nn.Linear(10, 64)
    )
    found = costs({"both": network}, batch_of(1))["both"]
    heads = 128 * 4 + 64 * 4
    mel = network.features["audio"]
    assert found.parameters == 192 * 128 + 128 + 10 * 64 + 64 + heads + 8
    assert found.multiply_adds == 192 * 128 + 10 * 64 + heads + mel.frames * mel.mel.numel()
    assert found.latency_ms > 0 and found.memory_mb > 4 * found.parameters / 1e6


def test_memory_is_counted_until_it_is_freed() -> None:
    live = Live()
    with live:
        kept = torch.zeros(1000)
        for _ in range(3):
            torch.ones(500) + 1
    assert len(kept) == 1000 and live.most == 4 * (1000 + 2 * 500)


@pytest.mark.parametrize("strategy", ["concat", "mmtm"])
def test_a_network_costs_its_encoders_and_what_it_makes_of_embeddings(
    strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sightsound.studies.comparison.cost.REPEATS", 1)
    monkeypatch.setattr("sightsound.studies.comparison.cost.MANY", 2)
    example = batch_of(1)
    networks = {name: network_with(strategy) for name in ("first", "second")}
    runs = dict.fromkeys(networks, 0)

    def count(name: str) -> None:
        runs[name] += 1

    for name, network in networks.items():
        network.encoders["image"].pool.register_forward_hook(lambda *_, name=name: count(name))
    found = costs(networks, example)
    measured = sum(count > 0 for count in runs.values())
    assert measured == (2 if strategy == "mmtm" else 1), "the same encoders are measured once"
    with FlopCounterMode(display=False) as counter:
        networks["first"](example)
    assert found["second"].multiply_adds == found["first"].multiply_adds == counter.get_total_flops() // 2
    assert found["second"].memory_mb == found["first"].memory_mb
