"""Remarks travel from the reader to the store, wherever its rows are, and become sentences."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from PIL import Image

from sightsound.config import Config
from sightsound.data.dataset import Rows
from sightsound.data.decode import clips, prepare_rows
from sightsound.data.prepared import store
from sightsound.data.remarks import sentences
from sightsound.data.table import Table, read_table


@pytest.fixture
def remarkable(tmp_path: Path) -> Table:
    rng = np.random.default_rng(0)
    for i in range(6):
        pixels = rng.integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels * (i > 1)).save(tmp_path / f"{i}.png")
        tone = rng.normal(0, 0.1, 4000)
        soundfile.write(tmp_path / f"{i}.wav", np.stack([tone, -tone if i == 3 else tone], 1) * (i != 2), 8000)
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(6)], "audio": [f"{i}.wav" for i in range(6)]})
    frame = pd.concat([frame, frame[2:3]]).assign(label="a")  # a row of files that others have too
    frame.loc[5, "audio"] = ""
    frame.to_csv(tmp_path / "table.csv", index=False)
    return read_table(tmp_path / "table.csv")


def config(step: float | None = None) -> Config:
    plain = Config()
    return dataclasses.replace(
        plain,
        image=dataclasses.replace(plain.image, height=8, width=8, channels=1),
        audio=dataclasses.replace(plain.audio, sample_rate_hz=8000, clip_seconds=0.25, step_seconds=step),
    )


def prepared(table: Table, keep: bool, step: float | None = None) -> Rows:
    rows, rejected = prepare_rows(clips(table, config(step)), config(step), None, keep=keep)
    assert not rejected
    return rows


@pytest.mark.parametrize("where", ["memory", "disk", "disk again", "a file for now"])
def test_files_that_show_or_say_nothing_are_said(
    where: str, remarkable: Table, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MEMORY_BYTES", 1 if where == "a file for now" else 2**30)
    for _ in range(2 if where == "disk again" else 1):
        rows = prepared(remarkable, keep="disk" in where)
    assert sentences(rows.stores, remarkable) == [
        "2 of 6 images hold one single colour, for instance 0.png (row 1).",
        "1 of 5 sounds are silent, for instance 2.wav (row 3).",
        "1 of 5 sounds have channels that cancel each other, so the louder one was taken, for instance 3.wav (row 4).",
    ]
    assert not any(file.stat().st_size for file in (own_cache / "now").glob("*"))


def test_clips_are_counted_where_sounds_are_cut(remarkable: Table, own_cache: Path) -> None:
    table = clips(remarkable, config(0.25))
    said = sentences(prepared(remarkable, keep=False, step=0.25).stores, table)
    assert "2 of 10 clips of sounds are silent, for instance 2.wav (row 3, at 0 s)." in said


@pytest.mark.parametrize("keep", [False, True])
def test_rows_in_a_file_are_those_in_memory(
    keep: bool, remarkable: Table, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = prepared(remarkable, keep=False)
    monkeypatch.setattr(store, "MEMORY_BYTES", 1)
    outside = prepared(remarkable, keep=keep)
    for m in within.stores:
        one, other = within.stores[m], outside.stores[m]
        assert (one.read(one.entry) == other.read(other.entry)).all()
        np.testing.assert_array_equal(one.checksums(), other.checksums())
        np.testing.assert_array_equal(one.flags(), other.flags())


def test_a_cache_of_an_older_layout_is_made_anew_without_complaint(
    remarkable: Table, own_cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = prepared(remarkable, keep=True).stores["image"]
    for folder in (own_cache / "prepared").glob("*/"):
        (folder / "format").unlink()  # as before there were any
        (folder / "index.bin").write_bytes(bytes(12 * 7))
    found = prepared(remarkable, keep=True).stores["image"]
    assert (found.read(found.entry) == wanted.read(wanted.entry)).all()
    assert "damaged" not in capsys.readouterr().err
