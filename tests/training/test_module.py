"""One stage of training: what it draws, what it validates on, how its parameters move."""

from types import SimpleNamespace

import pytest
import torch

from sightsound.config import AugmentConfig, Config
from sightsound.losses import losses
from sightsound.training.augment import Augment
from sightsound.training.balances import Heads
from sightsound.training.module import Optimization, Stage
from tests.contract.batches import SIZES, batch_of, network_with


def stage_of(seed: int = 0, augment: AugmentConfig | None = None) -> Stage:
    network = network_with("concat").eval()
    config = Config(**SIZES, augment=augment or AugmentConfig())
    how = Optimization([{"params": list(network.parameters()), "lr": 0.1}], 10, 0.3, 0.25)
    return Stage(network, ("image", "audio"), how, Augment(config), Heads(network), seed, late=False)


def test_validation_rows_are_not_changed_by_chance() -> None:
    stage, batch = stage_of(augment=AugmentConfig(image_erase=1.0, image_shift=0.5, audio_noise=1.0)), batch_of(9)
    with torch.no_grad():
        stage.validation_step(batch, 0)
        plain = losses(stage.network(batch), batch.present, batch.target)
    assert stage.val_losses.means() == pytest.approx({name: float(value) for name, value in plain.items()})


def test_what_a_step_draws_depends_on_its_seed_and_its_number() -> None:
    def drawn(seed: int, step: int) -> float:
        stage_of(seed).on_train_batch_start(batch_of(1), step)
        return float(torch.rand(()))

    first = drawn(0, 0)
    assert drawn(0, 0) == first and len({first, drawn(1, 0), drawn(0, 1)}) == 3


def test_the_optimizer_decays_weights_as_configured() -> None:
    stage = stage_of()
    stage._trainer = SimpleNamespace(precision="32-true")
    stage.network.requires_grad_(True)
    optimizer = stage.configure_optimizers()["optimizer"]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25]
