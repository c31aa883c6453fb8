"""All table formats give the same rows; what is wrong with a table is said."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sightsound.config import ColumnsConfig
from sightsound.data.table import incomplete_rows, read_table
from sightsound.errors import TableError

FRAME = pd.DataFrame(
    {
        "image": ["a.png", None, "sub/ü b.png"],
        "audio": ["a.wav", "b.wav", ""],
        "label": ["7", "NA", "7"],
        "other": [1, 2, 3],
    }
)
WRITERS = {
    "t.csv": lambda f, p: f.to_csv(p, index=False),
    "t.tsv": lambda f, p: f.to_csv(p, index=False, sep="\t"),
    "t.parquet": lambda f, p: f.to_parquet(p, index=False),
    "t.jsonl": lambda f, p: f.to_json(p, orient="records", lines=True, force_ascii=False),
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats_agree(name: str, tmp_path: Path) -> None:
    WRITERS[name](FRAME, tmp_path / name)
    table = read_table(tmp_path / name)
    assert table.frame["image"].tolist() == ["a.png", "", "sub/ü b.png"]
    assert table.frame["label"].tolist() == ["7", "NA", "7"]
    assert table.frame.index.tolist() == [1, 2, 3]
    assert table.path("a.png") == tmp_path / "a.png"
    assert set(table.frame) == {*(f.name for f in fields(ColumnsConfig)), "row"}


def test_a_data_frame_with_numbers_and_nan() -> None:
    frame = pd.DataFrame({"image": ["a", np.nan], "label": [7.0, 8.0]})
    table = read_table(frame)
    assert table.frame["label"].tolist() == ["7", "8"]
    assert table.frame["image"].tolist() == ["a", ""]


def test_a_folder_of_classes(tmp_path: Path) -> None:
    for file in ("cat/1.png", "cat/1.wav", "cat/2.JPG", "dog/1.flac", "dog/notes.txt"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_bytes(b"x")
    rows = read_table(tmp_path).frame[["image", "audio", "label"]].to_numpy().tolist()
    assert rows == [["cat/1.png", "cat/1.wav", "cat"], ["cat/2.JPG", "", "cat"], ["", "dog/1.flac", "dog"]]
    (tmp_path / "cat/1.jpeg").write_bytes(b"x")
    with pytest.raises(TableError, match=r"1\.png.*is the image of the same row|rename one"):
        read_table(tmp_path)


def test_other_column_names(tmp_path: Path) -> None:
    FRAME.rename(columns={"label": "species", "audio": "call"}).to_csv(tmp_path / "t.csv", index=False)
    table = read_table(tmp_path / "t.csv", ColumnsConfig(label="species", audio="call"))
    assert table.frame["audio"].tolist() == ["a.wav", "b.wav", ""]


def test_incomplete_rows() -> None:
    frame = pd.DataFrame({"image": ["a", "", "c"], "audio": ["", "", "c"], "label": ["x", "y", " "]})
    bad = incomplete_rows(read_table(frame), ("image", "audio"))
    assert [(b.row, b.reason) for b in bad] == [
        (3, "the label is empty"),
        (2, "image and audio missing, so nothing is left"),
    ]


FAULTS = {
    "no label": ("image,lable\na,b\n", r"no 'label' column\. Did you mean 'lable'\?.*--columns\.label"),
    "no files": ("picture,label\na,b\n", "neither an image nor an audio column"),
    "no rows": ("image,label\n", "no rows"),
    "empty": ("", "empty"),
    "twice": ('image,label\n"a', "cannot be read as a CSV"),
    "ragged": ("image,label\na,b\nc,d,e,f\n", "cannot be read as a CSV"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_bad_tables(fault: str, tmp_path: Path) -> None:
    content, message = FAULTS[fault]
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(TableError, match=message) as caught:
        read_table(tmp_path / "t.csv")
    assert str(tmp_path / "t.csv") in str(caught.value)


def test_a_table_that_is_not_there_or_not_known(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such table"):
        read_table(tmp_path / "t.csv")
    (tmp_path / "t.xls").write_text("")
    with pytest.raises(TableError, match="type .xls are not known"):
        read_table(tmp_path / "t.xls")
    (tmp_path / "t.parquet").write_text("no parquet")
    with pytest.raises(TableError, match="PARQUET"):
        read_table(tmp_path / "t.parquet")
    (tmp_path / "t.jsonl").write_text("{]\n")
    with pytest.raises(TableError, match="JSONL"):
        read_table(tmp_path / "t.jsonl")
    (tmp_path / "latin.csv").write_bytes("image,label\nä,ö\n".encode("latin-1"))
    with pytest.raises(TableError, match="CSV"):
        read_table(tmp_path / "latin.csv")
    (tmp_path / "none").mkdir()
    with pytest.raises(TableError, match="no class folders"):
        read_table(tmp_path / "none")
