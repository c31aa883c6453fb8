"""Stages as they are run: the order of the rows, learning rates, and which weights stay."""

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import sightsound as ss
from sightsound.config import Config
from sightsound.fusion.hierarchical import Exchanging
from sightsound.training.fit import _groups, fit
from sightsound.training.loop import Plan, Watcher, run_loop
from sightsound.training.objective import Objective, Optimization
from sightsound.training.stage import Stage
from sightsound.types import Batch
from tests.contract.batches import SIZES, network_with
from tests.training.test_calibrate import rows_of

CONFIG = Config(**SIZES, epochs=1, batch_size=8, precision="32-true", accelerator="cpu", weight_decay=0.125)


class Order(Watcher):
    """Remembers the classes of the rows in their order, and the weight decay."""

    def __init__(self) -> None:
        self.order: list[int] = []
        self.decay: set[float] = set()

    def after_step(self, batch, optimizer) -> None:
        self.order += batch.target.tolist()
        self.decay = {group["weight_decay"] for group in optimizer.param_groups}


def test_the_seed_orders_the_rows_and_weights_decay_as_configured(tmp_path: Path) -> None:
    orders = []
    for number, seed in enumerate((0, 0, 1)):
        watcher, rows = Order(), rows_of(24)
        run = tmp_path / f"{number}"
        fit(
            network_with("concat"), dataclasses.replace(CONFIG, seed=seed), {"train": rows, "val": rows}, run, [watcher]
        )
        assert watcher.decay == {0.125}
        orders.append(watcher.order)
    assert orders[0] == orders[1] != orders[2]


def test_what_encoders_exchange_learns_more_slowly() -> None:
    config = dataclasses.replace(CONFIG, fusion="mmtm", learning_rate=1.0)
    network = network_with("mmtm")
    assert isinstance(network.fusion, Exchanging)
    rates = {id(p): group["lr"] for group in _groups(network, config, 1.0) for p in group["params"]}
    for name, parameter in network.named_parameters():
        exchanged = name.startswith("fusion.") and ".classify." not in name
        assert rates[id(parameter)] == pytest.approx(0.1 if exchanged else 1.0), name


def test_the_weights_of_the_best_epoch_stay(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.9, 0.1, 0.1, 0.1])
    monkeypatch.setattr("sightsound.training.stage.macro_means", lambda *_: {"macro_f1": next(scores)})
    options = {"modalities": ["image"], "epochs": 4, "patience": 1, "batch_size": 16, "say": lambda line: None}
    classifier = ss.train(table, out=tmp_path / "run", **options)
    folder = tmp_path / "run" / "checkpoints" / "joint"
    best, last = (torch.load(folder / name, weights_only=True) for name in ("best.ckpt", "last.ckpt"))
    assert (best["epochs"], last["progress"]["epochs"]) == (1, 2)  # the patience for more is over
    encoder = classifier.network.encoders["image"].state_dict()
    for name, value in encoder.items():
        assert torch.equal(value, best["network"][f"encoders.image.{name}"])
    assert any(not torch.equal(x, last["network"][f"encoders.image.{n}"]) for n, x in encoder.items())


def test_epochs_that_no_checkpoint_holds_are_trained_again(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop while a better epoch than that of the last checkpoint is only in memory."""
    options = {"epochs": 4, "patience": 4, "batch_size": 16, "balance": "auxiliary", "say": lambda line: None}
    choices = [0.1, 0.9, 0.5, 0.2]
    begin_epoch = Stage.begin_epoch

    def scored(stage: Stage, epoch: int) -> dict[str, float]:
        return {**end_epoch(stage, epoch), "val_choice": choices[epoch]}

    def begins(stage: Stage, epoch: int) -> None:
        monkeypatch.setattr("sightsound.training.loop.SECONDS_BETWEEN_CHECKPOINTS", 0 if epoch == 0 else 1e9)
        if epoch == 3 and stops:
            raise KeyboardInterrupt
        begin_epoch(stage, epoch)

    end_epoch, stops = Stage.end_epoch, False
    monkeypatch.setattr(Stage, "end_epoch", scored)
    monkeypatch.setattr(Stage, "begin_epoch", begins)
    whole = ss.train(table, out=tmp_path / "whole", **options).network.state_dict()
    stops = True
    with pytest.raises(KeyboardInterrupt):
        ss.train(table, out=tmp_path / "run", **options)
    folder = tmp_path / "run" / "checkpoints" / "joint"
    kept = [torch.load(folder / name, weights_only=True) for name in ("best.ckpt", "last.ckpt")]
    assert (kept[0]["epochs"], kept[1]["progress"]["epochs"]) == (1, 1)  # the second is better
    stops = False
    again = ss.train(table, out=tmp_path / "run", resume=True, **options).network.state_dict()
    assert torch.load(folder / "best.ckpt", weights_only=True)["epochs"] == 2
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_every_stage_trains_in_training_mode(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`embrace` draws while it is trained, and `fusion+joint` measures the encoders before it."""
    modes, loss = [], Stage.loss
    monkeypatch.setattr(Stage, "loss", lambda stage, batch: modes.append(stage.network.training) or loss(stage, batch))
    options = {"schedule": "fusion+joint", "balance": "auxiliary", "fusion": "embrace", "epochs": 2, "batch_size": 32}
    ss.train(table, out=tmp_path / "run", say=lambda line: None, **options)
    assert len(modes) > 4 and all(modes)


@torch.no_grad()
def test_gradients_that_are_switched_off_around_it_do_not_matter(table: Path, tmp_path: Path) -> None:
    options = {"modalities": ["image"], "epochs": 1, "batch_size": 16, "say": lambda line: None}
    assert ss.train(table, out=tmp_path / "run", **options).metrics["subsets"]


def test_steps_that_overflow_in_half_precision_do_not_move_the_schedule(tmp_path: Path) -> None:
    """The first scale, 65536, is beyond float16: steps are skipped, and the scale halved, until the gradients fit."""

    class Sum(Objective):
        def loss(self, batch: Batch) -> torch.Tensor:
            return self.network(batch.inputs["image"]).float().sum()

    layer = torch.nn.Linear(2, 1)
    batches = [Batch({"image": torch.ones(3, 2)}, {"image": torch.ones(3, dtype=torch.bool)})] * 4
    objective = Sum(layer, Optimization([{"params": list(layer.parameters()), "lr": 0.01}], 4, 0.5, 0.0))
    run_loop(objective, DataLoader(batches, batch_size=None), None, Plan("sum", tmp_path, 1, "cpu", "16-mixed"))
    last = torch.load(tmp_path / "checkpoints" / "sum" / "last.ckpt", weights_only=True)
    [taken] = {int(state["step"]) for state in last["optimizer"]["state"].values()}
    assert 0 < last["schedule"]["last_epoch"] == taken < 4


def test_a_run_without_its_logs_still_has_its_report(table: Path, tmp_path: Path) -> None:
    options = {"epochs": 1, "batch_size": 16, "say": lambda line: None}
    ss.train(table, out=tmp_path / "run", **options)
    assert "joint: loss" in (tmp_path / "run" / "report.html").read_text()
    shutil.rmtree(tmp_path / "run" / "logs")
    ss.train(table, out=tmp_path / "run", resume=True, **options)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Learning curves" not in page and '<figure class="chart matrix' in page
