"""The training procedure around the stages: what test rows may and may not do, and what `predictions.csv` says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import sightsound as ss
from sightsound.config import Config
from sightsound.data.table import read_table
from sightsound.errors import TableError
from sightsound.inference.subsets import Answered
from sightsound.training.prepare import prepare
from sightsound.training.run import _tested

ONCE = {"epochs": 1, "batch_size": 16, "say": lambda line: None}


def test_nothing_that_is_learnt_depends_on_test_rows(table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame["split"] = [["train", "val", "test"][i % 3] for i in range(60)]  # 20 of each: enough to calibrate on
    others = frame.copy()
    test = others.index[others["split"] == "test"]
    others.loc[test] = others.loc[np.roll(test, 7)].to_numpy()
    others.loc[test, "label"] = np.roll(others.loc[test, "label"], 3)
    others.loc[test[:4], "image"] = frame.loc[0, "image"]
    networks = []
    for name, given in (("a", frame), ("b", others)):
        given.to_csv(table.parent / f"{name}.csv", index=False)
        networks.append(ss.train(table.parent / f"{name}.csv", out=tmp_path / name, **ONCE).network.state_dict())
    assert len(set(networks[0]["calibration.temperature"].tolist())) > 1
    for name, value in networks[0].items():
        assert torch.equal(value, networks[1][name]), name


def test_predictions_by_hand(table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = pd.read_csv(table)
    frame["split"] = [["train", "val", "test"][min(i % 20 // 9, 2)] for i in range(60)]
    (tmp_path / "run").mkdir()
    prepared = prepare(
        read_table(frame.assign(**{m: [str(table.parent / name) for name in frame[m]] for m in ("image", "audio")})),
        Config(epochs=1),
        tmp_path / "run",
    )
    numbers = prepared.table.part("test").frame["row"].to_numpy()
    rows = len(numbers)
    said = {
        ("image", "audio"): np.tile([0.2, 0.3, 0.5], (rows, 1)),
        ("image",): np.tile([0.6, 0.3, 0.1], (rows, 1)),
        ("audio",): np.tile([0.1, 0.2, 0.7], (rows, 1)),
    }
    has = {"image": np.ones(rows, bool), "audio": np.arange(rows) > 0}
    monkeypatch.setattr("sightsound.training.run.answer_rows", lambda *_: Answered(numbers, said, has))
    _tested(prepared, prepared.network, {}, tmp_path / "run", [])
    written = pd.read_csv(tmp_path / "run" / "predictions.csv", keep_default_na=False)
    assert prepared.labels == ["high", "low", "middle"] and written["row"].tolist() == numbers.tolist()
    assert set(written["predicted"]) == {"middle"} and set(written["probability"]) == {0.5}
    assert written["image_only"].tolist() == ["high"] * rows
    assert written["audio_only"].tolist() == ["", *["middle"] * (rows - 1)]
    assert written["audio_only_probability"].tolist() == ["", *["0.7"] * (rows - 1)]
    assert written[["p_high", "p_low", "p_middle"]].drop_duplicates().to_numpy().tolist() == [[0.2, 0.3, 0.5]]
    assert written["label"].tolist() == frame["label"].iloc[numbers - 1].tolist()


@pytest.mark.parametrize("part", ["train", "val"])
def test_images_of_which_nothing_is_left_are_none(part: str, table: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(table)
    frame[["image", "audio"]] = frame[["image", "audio"]].map(lambda name: str(table.parent / name))
    frame["split"] = [["train", "train", "val", "test"][i % 4] for i in range(len(frame))]
    Image.new("L", (16, 16), 255).save(tmp_path / "mask.png")
    frame["image_mask"] = np.where(frame["split"] == part, str(tmp_path / "mask.png"), "")
    with pytest.raises(TableError, match=f"no {part} row has image"):
        ss.train(frame, out=tmp_path / "run", missing={"image": "linear"}, **ONCE)
