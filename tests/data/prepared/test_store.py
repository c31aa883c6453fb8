"""The files of a table as they are found in the cache again."""

import os
from pathlib import Path

import pandas as pd

import sightsound as ss
from sightsound.data.table import read_table
from sightsound.training.prepare import prepare
from tests.conftest import write_table


def test_a_name_that_is_no_utf_8_is_a_name_as_any_other(tmp_path: Path) -> None:
    table = write_table(tmp_path / "data", rows_per_class=6)
    frame = pd.read_csv(table)
    paths = [str(table.parent / name) for name in frame["image"]]
    strange = os.fsencode(table.parent) + b"/caf\xe9.png"
    os.rename(paths[0], strange)
    frame["image"] = pd.Series([os.fsdecode(strange), *paths[1:]], dtype=object)
    prepared = prepare(read_table(frame), ss.Config(modalities=("image",)), tmp_path)
    assert len(prepared.table.frame) == len(frame)
    assert (prepared.rows["train"].stores["image"].entry > 0).all()
