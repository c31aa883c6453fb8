"""The strategy that is taken where none is named: the product where training rows are few, else a learnt layer."""

from pathlib import Path

import pandas as pd
import pytest

import sightsound as ss
from sightsound.config import Config
from sightsound.training.fusion_choice import with_fusion

FEW, MANY = 99.0, 100.0


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.training.fusion_choice.FEW_ROWS", 100)


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
    done = typed("train", table, "--epochs", 1, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    assert "with 14 training rows a class, --fusion is product unless you name another" in done.out
    assert "fusion product" in done.out
    assert ss.load(tmp_path / "run" / "bundle").config.fusion == "product"
    assert "fusion: product" in (tmp_path / "run" / "config.yaml").read_text()
    again = typed("train", table, "--epochs", 1, "--out", tmp_path / "run", "--resume")
    assert again.code == 0, again.err
    named = typed("train", table, "--epochs", 1, "--fusion", "concat", "--out", tmp_path / "named")
    assert named.code == 0 and "unless you name another" not in named.out
    monkeypatch.setattr("sightsound.training.fusion_choice.FEW_ROWS", 14)  # rows a class are no fewer
    many = typed("train", table, "--epochs", 1, "--out", tmp_path / "many")
    assert many.code == 0 and "fusion concat" in many.out and "unless you name another" not in many.out


def test_clips_of_one_sound_are_one_row(table: Path, tmp_path: Path, whole: None) -> None:
    frame = pd.read_csv(table).groupby("label").head(10)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(table.parent / name))
    said: list[str] = []
    clips = {"clip_seconds": 0.15, "step_seconds": 0.05}
    ss.train(frame, out=tmp_path / "run", epochs=1, audio=clips, say=said.append)
    assert any("rows: 72 train" in line for line in said)  # four clips each
    assert any("with 6 training rows a class, --fusion is product" in line for line in said)


def test_a_comparison_takes_no_strategy_that_is_left_open(table: Path, tmp_path: Path, typed) -> None:
    done = typed("compare", table, "--strategies", "auto,concat", "--out", tmp_path / "run")
    assert done.code == 1 and "no fusion strategy 'auto'" in done.err
