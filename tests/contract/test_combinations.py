"""Each strategy with each balance in each schedule: everything that is to be trained is trained, or it is refused."""

from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch
from torch import Tensor, nn

from sightsound.config import AudioConfig, Config, ImageConfig
from sightsound.encoders.base import STAGES, Encoder, sizes_of
from sightsound.errors import ConfigError
from sightsound.fusion import STRATEGIES
from sightsound.network.classifier import ClassifierNetwork
from sightsound.training import fit as fitting
from sightsound.training.balances import BALANCES, Auxiliary
from sightsound.training.schedule import Phase, check_balance
from sightsound.types import Batch

CLASSES, ROWS, WIDTH, STEPS = 3, 4, 4, 2
SCHEDULES = get_args(get_type_hints(Config)["schedule"])


class Tiny(Encoder):
    """(B, 4, 2) -> (B, 4), without units that could die."""

    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Sequential(nn.Conv1d(WIDTH, WIDTH, 1), nn.Tanh()) for _ in range(STAGES))
        self.stage_channels = [WIDTH] * STAGES
        self.pool = nn.Sequential(nn.Flatten(), nn.Linear(2 * WIDTH, WIDTH))
        self.embedding_size = WIDTH


def network_with(strategy: str) -> ClassifierNetwork:
    torch.manual_seed(0)
    encoders: dict[str, Encoder] = {"image": Tiny(), "audio": Tiny()}
    fusion = STRATEGIES[strategy](*sizes_of(encoders), CLASSES)
    for parameter in fusion.parameters():  # some begin at zero, where the first step moves nothing behind them
        parameter.data += 0.05 * torch.randn(parameter.shape)
    return ClassifierNetwork(
        {m: nn.Identity() for m in encoders},
        {m: nn.Identity() for m in encoders},
        encoders,
        {m: nn.Linear(WIDTH, CLASSES) for m in encoders},
        fusion,
        CLASSES,
    )


def train_a_little(network: ClassifierNetwork, part: Phase, balance: Auxiliary) -> set[str]:
    """Names of the parameters that a stage leaves as they are, though they are its to train."""
    network.zero_grad()
    left = {name: p for name, p in network.named_parameters() if p.requires_grad}
    optimizer = torch.optim.SGD(left.values(), lr=0.1)
    for seed in range(STEPS):
        batch = batch_of(part.active, seed)
        balance.loss(network.fuse(batch, flow=balance.flow), batch, batch.target).backward()
        balance.after_backward(network)
        optimizer.step()
        left = {name: p for name, p in left.items() if p.grad is None or not p.grad.any()}
        optimizer.zero_grad()
    return set(left)


COMPLETE: set[tuple[object, ...]] = set()  # stages that were seen to train all of theirs: schedules share many


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Names of all parameters that any stage has trained; stages take few steps, and nothing is on disk."""
    names: set[str] = set()
    saved: dict[Path, dict[str, Tensor]] = {}

    def stage(network: ClassifierNetwork, part: Phase, *given: object) -> None:
        balance = next(one for one in given if isinstance(one, Auxiliary))
        if balance.needs_unimodal_training and part.trains == ("",):
            assert {name for name, _ in network.named_parameters() if name.startswith("encoders.")} <= names
        key = (part.trains, part.active, type(network.fusion), type(balance), balance.flow)
        if key not in COMPLETE:
            assert train_a_little(network, part, balance) == set()
            COMPLETE.add(key)
        passing = (
            "fusion." if part.temporary_fusion else "no name"
        )  # the temporary fusion is not part of the network that is kept
        names.update(n for n, p in network.named_parameters() if p.requires_grad and not n.startswith(passing))

    monkeypatch.setattr(fitting, "_fit_part", stage)
    monkeypatch.setattr(fitting, "_wire", lambda *_: None)
    monkeypatch.setattr(fitting, "some_features", lambda *_: batch_of(("image", "audio"), 0).inputs)
    monkeypatch.setattr(fitting, "save_tensors", lambda tensors, path: saved.update({path: dict(tensors)}))
    monkeypatch.setattr(fitting, "load_file", lambda path: saved[path])
    return names


def batch_of(shown: tuple[str, ...], seed: int) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    inputs = {m: torch.randn(ROWS, WIDTH, 2, generator=generator) for m in ("image", "audio")}
    present = {m: torch.full((ROWS,), m in shown) for m in inputs}
    return Batch(inputs, present, torch.arange(ROWS) % CLASSES)


@pytest.mark.parametrize("fusion", STRATEGIES)
@pytest.mark.parametrize("balance", BALANCES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_everything_is_trained_or_it_is_refused(fusion: str, balance: str, schedule: str, trained: set[str]) -> None:
    config = Config(fusion=fusion, balance=balance, schedule=schedule)
    try:
        check_balance(config)
    except ConfigError as refused:
        assert f"--balance {balance}" in str(refused) and "Type --" in str(refused)
        return
    network = network_with(fusion)
    fitting.fit(network, config, {"train": None, "val": None}, Path("nowhere"))
    later = "fusion." if network.fusion.fitted_held_out else "no name"  # on validation rows, when all is trained
    assert {name for name, _ in network.named_parameters() if not name.startswith(later)} == trained


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"balance": "fused-only", "fusion": "vote"}, "--fusion vote does not pass on.*Type --balance auxiliary"),
        ({"balance": "fused-only", "fusion": f"{__name__}.OwnVote"}, "OwnVote does not pass on"),
        (
            {"balance": "detached", "schedule": "fusion+joint"},
            "the fused answer teaches the encoders.*Type --balance auxiliary",
        ),
        ({"balance": "unimodal-teacher", "schedule": "fusion+joint"}, "trains none alone.*Type --schedule joint"),
    ],
)
def test_what_cannot_train_is_refused_in_words(options: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        check_balance(Config(**options))
    check_balance(Config(**options, modalities=("image",)))  # nothing to balance
    check_balance(Config(**options, image=ImageConfig(frozen=True), audio=AudioConfig(frozen=True)))  # nor to train
    with pytest.raises(ConfigError, match=reason):
        check_balance(Config(**options, image=ImageConfig(frozen=True)))


class OwnVote(STRATEGIES["vote"]):
    """A user's own."""
