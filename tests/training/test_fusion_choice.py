"""The strategy that is taken where none is named: the product where training rows are few, else a trained layer."""

from pathlib import Path

import pandas as pd
import pytest

import sightsound as ss
from sightsound.config import Config
from sightsound.training.fusion_choice import with_fusion
from sightsound.training.stage import Stage

FEW, MANY = 99.0, 100.0


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.training.fusion_choice.FEW_ROWS_A_CLASS", 100)


@pytest.mark.parametrize(
    ("options", "rows", "wanted"),
    [
        ({}, FEW, "product"),
        ({}, MANY, "concat"),
        ({"schedule": "staged"}, FEW, "product"),
        ({"fusion": "concat"}, FEW, "concat"),
        ({"fusion": "mmtm"}, FEW, "mmtm"),
        ({"fusion_options": {"width": 8}}, FEW, "concat"),  # which are those of a layer
        ({"balance": "auxiliary"}, FEW, "concat"),  # which teaches the encoders by the fused answer
        ({"balance": "fused-only", "schedule": "fusion+joint"}, FEW, "concat"),
        ({"modalities": ("image",)}, FEW, "concat"),
    ],
)
def test_few_rows_take_the_product(options: dict, rows: float, wanted: str, whole: None) -> None:
    assert with_fusion(Config(**options), rows).fusion == wanted


def test_it_is_said_and_kept_and_what_is_named_is_not_changed(
    table: Path, tmp_path: Path, typed, whole: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, train = tmp_path / "run", ["train", table, "--epochs", 1]
    with monkeypatch.context() as patched:
        patched.setattr(Stage, "begin_epoch", stop)
        assert typed(*train, "--out", run).code == 130
    done = typed(*train, "--out", run, "--resume")
    assert done.code == 0, done.err
    assert "with 14 complete training rows a class, --fusion is product, which needs few" in done.out
    assert "fusion product" in done.out and "type --fusion concat" in done.out
    assert ss.load(run / "bundle").config.fusion == "product"
    again = typed("train", table, "--config", run / "config.yaml", "--out", tmp_path / "again")
    assert again.code == 0, again.err
    assert (tmp_path / "again/bundle/model.safetensors").read_bytes() == (run / "bundle/model.safetensors").read_bytes()
    for shown in (again, typed(*train, "--fusion", "concat", "--out", tmp_path / "named")):
        assert shown.code == 0 and "which needs few" not in shown.out
    monkeypatch.setattr("sightsound.training.fusion_choice.FEW_ROWS_A_CLASS", 14)  # the rows are no fewer
    many = typed(*train, "--out", tmp_path / "many")
    assert many.code == 0 and "fusion concat" in many.out and "which needs few" not in many.out


def stop(stage: Stage, epoch: int) -> None:
    raise KeyboardInterrupt


def test_all_that_takes_a_bundle_takes_this_one(table: Path, tmp_path: Path, typed, whole: None) -> None:
    assert typed("train", table, "--epochs", 1, "--out", tmp_path / "run").code == 0
    bundle = tmp_path / "run" / "bundle"
    for words in (
        ["evaluate", bundle, table],
        ["predict", bundle, table, "--missing", "predict"],
        ["robustness", bundle, table, "--rows", 3, "--out", tmp_path / "robust"],
        ["inspect", bundle],
    ):
        done = typed(*words)
        assert done.code == 0, (words, done.err)
    assert "product" in done.out and "product" in (bundle / "README.md").read_text()


def test_rows_that_lack_a_modality_do_not_count(table: Path, tmp_path: Path, whole: None) -> None:
    frame = pd.read_csv(table)
    frame.loc[::2, "audio"] = ""
    frame.to_csv(table, index=False)
    said: list[str] = []
    ss.train(table, out=tmp_path / "run", epochs=1, say=said.append)
    assert any("with 6 complete training rows a class" in line for line in said), said


def test_clips_of_one_sound_are_one_row(table: Path, tmp_path: Path, whole: None) -> None:
    frame = pd.read_csv(table).groupby("label").head(10)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(table.parent / name))
    said: list[str] = []
    clips = {"clip_seconds": 0.15, "step_seconds": 0.05}
    ss.train(frame, out=tmp_path / "run", epochs=1, audio=clips, say=said.append)
    assert any("rows: 72 train" in line for line in said)  # four clips each
    assert any("with 6 complete training rows a class, --fusion is product" in line for line in said)


def test_a_comparison_takes_no_strategy_that_is_left_open(table: Path, tmp_path: Path, typed) -> None:
    done = typed("compare", table, "--strategies", "auto,concat", "--out", tmp_path / "run")
    assert done.code == 1 and "no fusion strategy 'auto'" in done.err
