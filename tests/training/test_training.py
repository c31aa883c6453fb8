"""The training procedure: it learns, both schedules, every strategy, one modality alone, the user's own classes."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from torch.utils.data import DataLoader

import sightsound as ss
from sightsound.config import Config, from_dict
from sightsound.data.table import read_table
from sightsound.errors import ConfigError, RunError, TableError
from sightsound.inference.subsets import answer_rows
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import losses
from sightsound.training.augment import Augment, hide_some
from sightsound.training.balances import BALANCES, Detached
from sightsound.training.feature_cache import on_cached
from sightsound.training.fit import fit
from sightsound.training.held_out import fit_held_out, validation_rows
from sightsound.training.loop import Plan, run_loop
from sightsound.training.objective import Objective, Optimization
from sightsound.training.prepare import prepare
from sightsound.training.schedule import phases
from sightsound.training.stage import Choice, Stage
from sightsound.types import Batch
from tests.conftest import TRAINED, write_table
from tests.contract.batches import batch_of, network_with

HALVES = (slice(0, 4), slice(4, 5))
QUICK = {"epochs": 12, "batch_size": 16, "say": lambda line: None}


def accuracies(metrics: dict) -> dict[str, float]:
    return {name: numbers["accuracy"] for name, numbers in metrics["subsets"].items()}


def fitted(table: Path, run: Path, **config: object) -> tuple[ClassifierNetwork, dict[tuple[str, ...], float]]:
    """A network after `fit`, without all else that a run does; test accuracy of each subset of the modalities."""
    run.mkdir(exist_ok=True)
    prepared = prepare(read_table(table), Config(**{"batch_size": 16, "epochs": 12, **config}), run)
    test = prepared.table.part("test").frame
    network = on_cached(prepared.network, prepared.cached)
    fit(network, prepared.config, prepared.rows, run)
    fit_held_out(network, validation_rows(prepared))
    answered = answer_rows(network.eval(), prepared.rows["test"], test["row"].to_numpy())
    target = np.searchsorted(prepared.labels, test["label"].to_numpy(dtype=str))
    right = {subset: float((p.argmax(1) == target).mean()) for subset, p in answered.probabilities.items()}
    return prepared.network, right


def test_it_learns_and_leaves_a_whole_run_folder(trained: tuple[Path, Path]) -> None:
    _, run = trained
    metrics = json.loads((run / "bundle" / "metrics.json").read_text())
    assert accuracies(metrics)["image+audio"] == 1 and min(accuracies(metrics).values()) > 0.6
    there = {path.name for path in run.iterdir()}
    assert {"bundle", "checkpoints", "config.yaml", "logs", "predictions.csv", "report.html", "splits.csv"} <= there
    saved = from_dict(yaml.safe_load((run / "config.yaml").read_text()))
    assert saved.image == ss.ImageConfig(**TRAINED["image"], height=16, width=16, channels=1)
    assert saved.audio.clip_seconds == 0.3 and saved.precision in ("32-true", "bf16-mixed")
    assert list(run.glob("logs/joint/events.out.tfevents*"))
    history = pd.read_csv(run / "logs" / "joint" / "metrics.csv")
    assert {"train_loss", "val_loss", "val_f1", "val_f1_image", "val_f1_audio", "val_f1_image+audio"} <= set(history)
    splits = pd.read_csv(run / "splits.csv")["split"].value_counts()
    assert splits.to_dict() == {"train": 42, "val": 9, "test": 9}
    predicted = pd.read_csv(run / "predictions.csv")
    assert (predicted["label"] == predicted["predicted"]).all() and len(predicted) == 9


@pytest.mark.parametrize("fusion", ["concat", "vote", "weighted", "mmtm", "search"])
def test_staged_trains_each_modality_and_then_only_the_fusion(fusion: str, table: Path, tmp_path: Path) -> None:
    network, right = fitted(table, tmp_path / "run", fusion=fusion, schedule="staged")
    assert min(right.values()) > 0.6 and right[("image", "audio")] >= 0.85
    fusion_trains = bool(list(network.fusion.parameters())) and not network.fusion.fitted_held_out
    stages = [part.name for part in phases(Config(schedule="staged"))]
    assert stages == ["image", "audio", "fusion"]
    done = {p.stem for p in (tmp_path / "run" / "checkpoints").glob("*.safetensors")}
    assert done == {"image", "audio", *(["fusion"] if fusion_trains else [])}
    first, last = (load_file(tmp_path / "run" / "checkpoints" / f"{name}.safetensors") for name in ("image", "audio"))
    for name, value in first.items():
        if name.startswith("encoders.image"):
            assert torch.equal(value, last[name]), f"{name} moved while another modality was trained"


@pytest.mark.parametrize(
    "balance", [b for b in BALANCES if b not in ("detached", "auxiliary", "fused-only")]
)  # trained elsewhere
def test_every_balance_learns_and_goes_on_after_a_stop(balance: str, table: Path, tmp_path: Path) -> None:
    network, right = fitted(table, tmp_path / "run", balance=balance)
    assert right[("image", "audio")] >= 0.85
    (tmp_path / "run" / "checkpoints" / "joint.safetensors").unlink()
    again, _ = fitted(table, tmp_path / "run", balance=balance)  # from the last checkpoint, which has ended
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in network.state_dict().items())


def test_finetuning_follows_the_stages(table: Path, tmp_path: Path) -> None:
    classifier = ss.train(table, out=tmp_path / "run", fusion="search", schedule="staged+finetune", **QUICK)
    done = {p.stem for p in (tmp_path / "run" / "checkpoints").glob("*.safetensors")}
    assert done == {"image", "audio", "fusion", "finetune"}
    assert classifier.config.fusion_options["joins"] == (tmp_path / "run" / "joins.txt").read_text()
    assert ss.load(tmp_path / "run" / "bundle").network.fusion.joins == classifier.config.fusion_options["joins"]
    assert accuracies(classifier.metrics)["image+audio"] >= 0.85


def test_one_modality_alone(table: Path, tmp_path: Path) -> None:
    classifier = ss.train(table, out=tmp_path / "run", modalities=["audio"], **QUICK)
    assert list(accuracies(classifier.metrics)) == ["audio"]
    assert classifier.predict(audio=table.parent / "low-0.wav").label == "low"
    with pytest.raises(ConfigError, match="knows audio, and image was given"):
        classifier.predict(image=table.parent / "low-0.png")


def test_rows_with_one_modality_are_used(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame.loc[::3, "image"] = ""
    frame.loc[1::3, "audio"] = ""
    frame.to_csv(table, index=False)
    classifier = ss.train(table, out=tmp_path / "run", **QUICK)
    assert accuracies(classifier.metrics)["as given"] >= 0.85


def test_a_column_without_any_file_is_left_out(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table).drop(columns="audio")
    frame.to_csv(table, index=False)
    said: list[str] = []
    classifier = ss.train(table, out=tmp_path / "run", **{**QUICK, "say": said.append})
    assert classifier.config.modalities == ("image",)
    assert any("no row has audio" in line for line in said)


def test_the_same_seed_gives_the_same_classifier(table: Path, tmp_path: Path) -> None:
    runs = [ss.train(table, out=tmp_path / name, epochs=2, say=QUICK["say"]).network.state_dict() for name in "ab"]
    assert all(torch.equal(runs[0][name], runs[1][name]) for name in runs[0])
    other = ss.train(table, out=tmp_path / "c", epochs=2, seed=1, say=QUICK["say"]).network.state_dict()
    assert any(not torch.equal(runs[0][name], other[name]) for name in other)


def test_the_classic_pair_learns_too(table: Path, tmp_path: Path) -> None:
    options = {"image": {"encoder": "cnn"}, "audio": {"encoder": "bilstm", "mel_bins": 32}}
    classifier = ss.train(table, out=tmp_path / "run", **options, **{**QUICK, "epochs": 20})
    assert accuracies(classifier.metrics)["image+audio"] >= 0.85


def test_a_data_frame_trains(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    ss.train(pd.read_csv(table), out=tmp_path / "run", **{**QUICK, "epochs": 1})
    assert (tmp_path / "run" / "report.html").exists()


def test_resume_of_a_finished_run_loads_it(trained: tuple[Path, Path]) -> None:
    table, run = trained
    before = (run / "bundle" / "model.safetensors").stat().st_mtime_ns
    ss.train(table, out=run, resume=True, say=QUICK["say"], **TRAINED)
    assert (run / "bundle" / "model.safetensors").stat().st_mtime_ns == before
    with pytest.raises(RunError, match=r"other settings \(fusion differ\)"):
        ss.train(table, out=run, resume=True, fusion="vote", **TRAINED)
    with pytest.raises(RunError, match="there already.*--resume"):
        ss.train(table, out=run)


def test_resume_refuses_another_table(trained: tuple[Path, Path], tmp_path: Path) -> None:
    other = write_table(tmp_path / "other", rows_per_class=5)
    with pytest.raises(RunError, match="the table's content"):
        ss.train(other, out=trained[1], resume=True, **TRAINED)


def test_unknown_options_are_said(table: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no option epoch. Did you mean 'epochs'"):
        ss.train(table, out=tmp_path / "run", epoch=3)
    with pytest.raises(ConfigError, match="no option audio.mel_bin. Did you mean 'mel_bins'"):
        ss.train(table, out=tmp_path / "run", audio={"mel_bin": 3})
    with pytest.raises(ConfigError, match="batch_size is 0; it must be above 0"):
        ss.train(table, out=tmp_path / "run", batch_size=0)
    with pytest.raises(ConfigError, match="no image encoder 'resnett'. Did you mean 'resnet'"):
        ss.train(table, out=tmp_path / "run", image={"encoder": "resnett"})
    with pytest.raises(ConfigError, match="cannot be imported"):
        ss.train(table, out=tmp_path / "run", fusion="no.such.Thing")
    with pytest.raises(ConfigError, match="precision is 'bf17'; it takes 'auto' or '32-true'"):
        ss.train(table, out=tmp_path / "precision", precision="bf17", say=QUICK["say"])
    with pytest.raises(ConfigError, match="accelerator is 'abacus'; it takes 'auto' or 'cpu'"):
        ss.train(table, out=tmp_path / "accelerator", accelerator="abacus", say=QUICK["say"])
    with pytest.raises(TableError, match="no row has audio"):
        frame = pd.read_csv(table).drop(columns="audio")
        ss.train(frame, out=tmp_path / "run", modalities=["audio"])


@pytest.mark.parametrize("balance", ["detached", "auxiliary"])
def test_which_epoch_is_kept(balance: str, table: Path, tmp_path: Path) -> None:
    ss.train(table, out=tmp_path / "run", balance=balance, **QUICK)
    epochs = pd.read_csv(tmp_path / "run" / "logs" / "joint" / "metrics.csv")
    score, f1 = epochs["val_score"].to_numpy(), epochs["val_f1"].to_numpy()
    best = int(score.argmax())
    if balance == "detached":  # the latest that is as good as the best so far, as far as 9 rows can tell
        close = score >= np.maximum.accumulate(score) - np.sqrt(f1 * (1 - f1) / 9)
        best = int(np.flatnonzero(close)[-1])
    kept = torch.load(tmp_path / "run" / "checkpoints" / "joint" / "best.ckpt", weights_only=True)
    assert kept["epochs"] == best + 1


def test_an_epoch_without_a_mistake_is_the_best() -> None:
    classes = torch.arange(57) % 10
    network = SimpleNamespace(modalities=["image"], classes=10, row_loss=None)
    optimization = Optimization([], 1, 0.1, 0.0)
    stage = Stage(network, ("image",), optimization, Augment(Config()), Detached(network), Choice.LATE)
    stage.target, stage.predicted = classes.tolist(), {"image": classes.tolist()}
    stage.val_losses = SimpleNamespace(means=lambda: {"fused": 0.1, "image": 0.1})
    numbers = stage.end_epoch(3)
    assert numbers["val_f1"] == 1 and numbers["val_choice"] == 3  # the number of the epoch


def test_the_losses_that_are_logged_are_means_over_rows(tmp_path: Path) -> None:
    network, whole = network_with("concat").eval(), batch_of(5, missing=True)
    parts = [
        Batch(*({m: x[rows] for m, x in each.items()} for each in whole[:2]), whole.target[rows]) for rows in HALVES
    ]
    stage = Stage(
        network, ("image", "audio"), Optimization([], 1, 0.1, 0.0), Augment(Config()), Detached(network), Choice.LATE
    )
    for part in parts:
        stage.validate(part)
    expected = losses(network.row_loss, network(whole), whole.present, whole.target)
    assert stage.end_epoch(0)["val_loss"] == pytest.approx(sum(expected.values()).item(), rel=1e-5)

    class Steps(Objective):
        def loss(self, batch: Batch) -> torch.Tensor:
            return self.network.weight.sum() * 0 + len(batch.target)

    layer = torch.nn.Linear(1, 1)
    steps = Steps(layer, Optimization([{"params": [layer.weight], "lr": 0.1}], 4, 0.3, 0.0))
    run_loop(steps, DataLoader(parts, batch_size=None), None, Plan("steps", tmp_path, 1, "cpu", "32-true"))
    [logged] = pd.read_csv(tmp_path / "logs" / "steps" / "metrics.csv")["train_loss"]
    assert logged == pytest.approx((4 * 4 + 1 * 1) / 5)


def test_modality_dropout_hides_one_modality_in_its_share_of_rows() -> None:
    torch.manual_seed(0)
    present = {"image": torch.ones(20000, dtype=torch.bool), "audio": torch.arange(20000) % 2 == 0}
    shown = hide_some(present, 0.3)
    complete = present["audio"]
    hidden_image, hidden_audio = complete & ~shown["image"], complete & ~shown["audio"]
    assert not (hidden_image & hidden_audio).any()
    assert (shown["image"][~complete]).all()  # a lone modality is never hidden
    for hidden in (hidden_image, hidden_audio):
        assert hidden.sum() / complete.sum() == pytest.approx(0.15, abs=0.01)


def test_every_chance_change_at_once_still_learns(table: Path, tmp_path: Path) -> None:
    changes = {"image_erase": 0.3, "image_flip": True, "mixup": 0.2}
    classifier = ss.train(table, out=tmp_path / "run", augment=changes, **{**QUICK, "epochs": 40})
    assert accuracies(classifier.metrics)["image+audio"] >= 0.85
    with pytest.raises(ConfigError, match="augment.audio_noise is 2; it must be from 0 to 1"):
        ss.train(table, out=tmp_path / "other", augment={"audio_noise": 2})


def test_encoders_are_taught_together_first(table: Path, tmp_path: Path) -> None:
    options = {**QUICK, "epochs": 12}
    with pytest.raises(
        ConfigError, match="the fused answer teaches the encoders: give --balance fused-only or auxiliary"
    ):
        ss.train(table, out=tmp_path / "run", schedule="fusion+joint", **options)
    classifier = ss.train(table, out=tmp_path / "run", schedule="fusion+joint", balance="auxiliary", **options)
    assert accuracies(classifier.metrics)["image+audio"] >= 0.85
    done = {p.stem for p in (tmp_path / "run" / "checkpoints").glob("*.safetensors")}
    assert done == {"begun", "together", "fusion", "joint"}
    assert ss.load(tmp_path / "run" / "bundle").evaluate(table)["subsets"]["image+audio"]["accuracy"] >= 0.85


def test_a_run_of_another_version_is_refused_in_words(table: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    ss.train(table, out=run, epochs=1, batch_size=16)
    done = run / "checkpoints" / "joint.safetensors"
    save_file({n: v for n, v in load_file(done).items() if n != "calibration.temperature"}, done)
    shutil.rmtree(run / "bundle")
    with pytest.raises(RunError, match="another version"):
        ss.train(table, out=run, resume=True, epochs=1, batch_size=16)
