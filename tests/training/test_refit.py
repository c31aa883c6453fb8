"""Heads of frozen encoders: trained before the rest, and again on validation rows too once the epoch is chosen."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

import sightsound as ss
from sightsound.errors import RunError
from sightsound.training.checkpoints import BEST, read, save
from sightsound.training.schedule import heads_apart, phases
from tests.conftest import write_table

FROZEN = {
    "image": {"encoder": "lite0", "frozen": True, "height": 32, "width": 32},
    "audio": {"encoder": "speech", "frozen": True},
}
QUIET = {"say": lambda line: None}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table(tmp_path_factory.mktemp("refit") / "data", rows_per_class=15)


def split_as(table: Path, places: list[str]) -> pd.DataFrame:
    """Gives the rows of each class these splits, in turn."""
    frame = pd.read_csv(table)
    for m in ("image", "audio"):
        frame[m] = [str(table.parent / name) for name in frame[m]]
    return frame.assign(split=frame.groupby("label").cumcount().map(lambda i: places[i % len(places)]))


def test_validation_rows_are_learned_from_in_the_end(table: Path, tmp_path: Path) -> None:
    """They are more than the training rows, and say the opposite of these."""
    frame = split_as(table, ["train", "val", "val", "val", "test"])
    other = {"low": "high", "high": "low", "middle": "middle"}
    frame["label"] = np.where(frame["split"] == "val", frame["label"].map(other), frame["label"])
    options = {"epochs": 20, "modalities": ("audio",), "augment": {"mixup": 0.0}, **QUIET}
    said: list[str] = []
    run = ss.train(frame, out=tmp_path / "run", audio=FROZEN["audio"], **options | {"say": said.append})
    assert "heads of frozen encoders (audio) are trained on the validation rows too" in "".join(said)
    assert run.metrics["subsets"]["audio"]["accuracy"] <= 0.5
    without = split_as(table, ["train", "val", "val", "val", "train"]).assign(label=frame["label"])
    run = ss.train(without, out=tmp_path / "without", audio=FROZEN["audio"], **options)
    assert not list((tmp_path / "without" / "checkpoints").glob("* again*"))  # they are what it is measured on
    assert run.metrics["split"] == "val"


@pytest.mark.parametrize("fusion", ["product", "concat"])
def test_all_of_it_is_trained_again_for_the_epochs_that_were_chosen(table: Path, tmp_path: Path, fusion: str) -> None:
    run = ss.train(table, out=tmp_path / "run", epochs=8, fusion=fusion, **FROZEN, **QUIET)
    checkpoints = tmp_path / "run" / "checkpoints"
    names = ["image", "audio", "joint"] if fusion == "concat" else ["image", "audio"]
    assert {file.stem for file in checkpoints.glob("*.safetensors")} == {*names, *(f"{name} again" for name in names)}
    for name in names:
        epochs = pd.read_csv(tmp_path / "run" / "logs" / name / "metrics.csv")
        again = pd.read_csv(tmp_path / "run" / "logs" / f"{name} again" / "metrics.csv")
        assert len(again) == read(checkpoints / name / BEST)["epochs"]
        if name != "joint":
            assert len(again) == 1 + int(epochs["val_loss"].to_numpy().argmin())  # a head: the lowest loss
        if len(again) > 1:
            assert again["lr"].iloc[-1] < 0.1 * again["lr"].max()  # it falls to zero by the last of these epochs
    last, first = (load_file(checkpoints / f"{names[-1]}{kind}.safetensors") for kind in (" again", ""))
    for name, weights in run.network.state_dict().items():
        if name.startswith(("heads.", "fusion.") if fusion == "concat" else "heads."):
            assert torch.equal(weights, last[name])
            assert not torch.equal(weights, first[name])
        elif name.startswith("encoders.") and name in first:
            assert torch.equal(weights, first[name])


def test_temperatures_are_those_of_heads_that_had_not_met_the_rows(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = ss.train(table, out=tmp_path / "run", epochs=8, fusion="product", **FROZEN, **QUIET)
    monkeypatch.setattr("sightsound.training.run.refit", lambda *given: [])
    once = ss.train(table, out=tmp_path / "once", epochs=8, fusion="product", **FROZEN, **QUIET)
    both = [one.network.calibration.state_dict() for one in (run, once)]
    assert all(torch.equal(value, both[1][name]) for name, value in both[0].items())
    assert not torch.equal(run.network.heads["image"].weight, once.network.heads["image"].weight)


def test_beside_an_encoder_that_is_trained_only_the_frozen_one_s_head_is(table: Path, tmp_path: Path) -> None:
    encoders = FROZEN | {"image": {"encoder": "resnet"}}
    run = ss.train(table, out=tmp_path / "run", epochs=3, fusion="product", **encoders, **QUIET)
    checkpoints = tmp_path / "run" / "checkpoints"
    assert {file.stem for file in checkpoints.glob("*.safetensors")} == {"audio", "joint", "audio again"}
    joint, audio = (load_file(checkpoints / f"{name}.safetensors") for name in ("joint", "audio"))
    said = "the heads of frozen encoders (audio) were trained again"
    for file in ("report.html", "bundle/README.md"):
        assert said in (tmp_path / "run" / file).read_text(encoding="utf-8"), file
    heads = run.network.heads
    assert torch.equal(heads["image"].weight, joint["heads.image.weight"])
    assert torch.equal(joint["heads.audio.weight"], audio["heads.audio.weight"])  # the joint training leaves it
    assert not torch.equal(heads["audio"].weight, joint["heads.audio.weight"])


def test_a_run_that_stopped_in_between_goes_on_to_the_same_weights(table: Path, tmp_path: Path) -> None:
    given = {"epochs": 6, "fusion": "concat", **FROZEN, **QUIET}
    whole = ss.train(table, out=tmp_path / "run", **given)
    for gone in ("bundle", "checkpoints/joint again", "checkpoints/audio again"):
        shutil.rmtree(tmp_path / "run" / gone)
    for gone in ("joint again", "audio again"):
        (tmp_path / "run" / "checkpoints" / f"{gone}.safetensors").unlink()
    again = ss.train(table, out=tmp_path / "run", resume=True, **given)
    for name, weights in whole.network.state_dict().items():
        assert torch.equal(weights, again.network.state_dict()[name]), name


def test_which_heads_are_trained_apart() -> None:
    frozen = {"image": ss.ImageConfig("lite0", frozen=True), "audio": ss.AudioConfig("speech", frozen=True)}
    config = ss.Config(fusion="product", **frozen)
    assert heads_apart(config) == ["image", "audio"]
    assert [part.name for part in phases(config)] == ["image", "audio", "joint"]
    # the fused loss teaches them; they are one; the encoders run in every epoch anyway
    for other in ({"balance": "auxiliary"}, {"balance": "mla"}, {"fusion": "mmtm"}):
        assert heads_apart(ss.Config(**{"fusion": "product", **frozen, **other})) == []
    one = ss.Config(fusion="product", audio=frozen["audio"])
    assert heads_apart(one) == ["audio"]
    assert [part.trains for part in phases(one)][1] == ("fusion.", "encoders.image.", "heads.image.")


def test_a_checkpoint_without_its_epochs_is_said(table: Path, tmp_path: Path) -> None:
    given = {"epochs": 2, "fusion": "product", **FROZEN, **QUIET}
    ss.train(table, out=tmp_path / "run", **given)
    best = tmp_path / "run" / "checkpoints" / "audio" / BEST
    shutil.rmtree(tmp_path / "run" / "bundle")
    save(best, {name: value for name, value in read(best).items() if name != "epochs"})
    with pytest.raises(RunError, match="of another version"):
        ss.train(table, out=tmp_path / "run", resume=True, **given)


def test_heads_whose_thresholds_are_chosen_stay_as_they_are(table: Path, tmp_path: Path) -> None:
    run = ss.train(
        table, out=tmp_path / "run", epochs=2, fusion="product", class_recall={"low": 0.9}, **FROZEN, **QUIET
    )
    assert run.metrics["refitted"] == [] and run.network.decision.thresholds
