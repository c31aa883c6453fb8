"""First weights: of the seed and the name of the part, whatever is beside it and whoever draws numbers meanwhile."""

import dataclasses

import torch

from sightsound.config import Config
from sightsound.network.build import build_network
from tests.contract.batches import SIZES

CONFIG = Config(**SIZES)


def test_first_weights_depend_on_the_seed() -> None:
    first, again, other = (build_network(dataclasses.replace(CONFIG, seed=s), 4).state_dict() for s in (0, 0, 1))
    drawn = [name for name, value in first.items() if value.dim() > 1 and value.numel() > 1 and value.std() > 0]
    drawn.remove("calibration.guard")
    assert {name.split(".")[0] for name in drawn} == {"encoders", "heads", "fusion"}
    for name in drawn:
        assert torch.equal(first[name], again[name]) and not torch.equal(first[name], other[name]), name


def test_a_modality_begins_the_same_whatever_is_beside_it() -> None:
    both = build_network(CONFIG, 4).state_dict()
    for modality in ("image", "audio"):
        alone = build_network(dataclasses.replace(CONFIG, modalities=(modality,), fusion="mmtm"), 4).state_dict()
        for name in (n for n in alone if n.startswith(("encoders.", "heads."))):
            assert torch.equal(alone[name], both[name]), name


def test_whoever_builds_draws_on_as_if_nothing_had_been_drawn() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    build_network(CONFIG, 4)
    assert torch.equal(torch.rand(3), expected)
