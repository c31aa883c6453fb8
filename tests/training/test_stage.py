"""One stage of training: what it draws, what it validates on, how its parameters move."""

import pytest
import torch

from sightsound.config import AugmentConfig, Config
from sightsound.network.losses import losses
from sightsound.training.augment import Augment
from sightsound.training.balances import Auxiliary
from sightsound.training.objective import Optimization
from sightsound.training.stage import Choice, Stage
from tests.contract.batches import SIZES, batch_of, network_with


def stage_of(seed: int = 0, augment: AugmentConfig | None = None) -> Stage:
    network = network_with("concat").eval()
    config = Config(**SIZES, seed=seed, augment=augment or AugmentConfig())
    how = Optimization([{"params": list(network.parameters()), "lr": 0.1}], 10, 0.3, 0.25)
    return Stage(network, ("image", "audio"), how, Augment(config), Auxiliary(network), Choice.BEST)


def test_validation_rows_are_not_changed_by_chance() -> None:
    stage, batch = stage_of(augment=AugmentConfig(image_erase=1.0, image_shift=0.5, audio_noise=1.0)), batch_of(9)
    with torch.no_grad():
        stage.validate(batch)
        plain = losses(stage.network.row_loss, stage.network(batch), batch.present, batch.target)
    assert stage.val_losses.means() == pytest.approx({name: float(value) for name, value in plain.items()})


def test_what_a_step_draws_depends_on_its_seed_and_its_number() -> None:
    def drawn(seed: int, step: int, epoch: int = 0) -> float:
        stage_of(seed).begin_step(epoch, step)
        return float(torch.rand(()))

    first = drawn(0, 0)
    assert drawn(0, 0) == first and len({first, drawn(1, 0), drawn(0, 1), drawn(0, 0, 1)}) == 4


def test_the_optimizer_decays_weights_as_configured() -> None:
    optimizer = stage_of().optimization.optimizer(fused=True)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.25]


def test_the_learning_rate_rises_to_its_peak_and_falls_to_nothing() -> None:
    how = stage_of().optimization
    optimizer = how.optimizer(fused=True)
    schedule, rates = how.schedule(optimizer), []
    for _ in range(how.steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step() if len(rates) < how.steps else None
    assert max(rates) == pytest.approx(0.1) and rates.index(max(rates)) == 2 and rates[-1] < 1e-4 < rates[0]
