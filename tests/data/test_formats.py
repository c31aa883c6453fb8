"""However a table is written, its cells are the same; what was detected is said, and can be overruled."""

import gzip
import io
import itertools
import json
import os
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsound.config import ColumnsConfig
from sightsound.data.encodings import COMPRESSED
from sightsound.data.formats import read_cells
from sightsound.data.table import read_table
from sightsound.errors import TableError

FRAME = pd.DataFrame(
    {
        "image": ["Fotos/Mücke 1.png", "b.png", "c.png"],
        "label": ["Mücke", "Käfer", "Mücke"],
        "note": ["say, it", "a;b|c", "é"],
    }
)


def written(separator: str, encoding: str, newline: str = "\n", quoting: int = 0) -> bytes:
    text = FRAME.to_csv(index=False, sep=separator, quoting=quoting, lineterminator=newline)
    return text.encode(encoding)


@pytest.mark.parametrize(
    ("separator", "encoding", "newline"),
    [*itertools.product(",;\t|", ["utf-8", "utf-8-sig", "utf-16", "cp1252"], ["\n", "\r\n"]), (",", "utf-32", "\r")],
)
def test_every_dialect_gives_the_same_cells(separator: str, encoding: str, newline: str, tmp_path: Path) -> None:
    for name in ("t.csv", "t.tsv", "t.txt"):
        (tmp_path / name).write_bytes(written(separator, encoding, newline))
        found = read_cells(tmp_path / name)
        assert found.frame.to_dict("list") == FRAME.to_dict("list"), found.notes
        usual = "\t" if name == "t.tsv" else ","
        assert any("separator" in note for note in found.notes) == (separator != usual)
        assert any("guess" in note for note in found.notes) == (encoding == "cp1252")


@pytest.mark.parametrize("encoding", ["gb18030", "shift_jis", "euc_kr", "big5", "cp1251", "cp1252"])
def test_an_old_encoding_is_recognised_by_the_files_that_are_there(encoding: str, tmp_path: Path) -> None:
    names = {
        "gb18030": "照片",
        "shift_jis": "写真",
        "euc_kr": "사진",
        "big5": "照片",
        "cp1251": "фото",
        "cp1252": "bébé",
    }
    name = f"{names[encoding]}.png"
    (tmp_path / name).touch()
    (tmp_path / "t.csv").write_bytes(f"image,label\n{name},a\n{name},b\n".encode(encoding))
    assert read_cells(tmp_path / "t.csv").frame["image"][0] == name
    found = read_table(tmp_path / "t.csv", ColumnsConfig(encoding=encoding))
    assert found.frame["image"][1] == name and not found.notes


def test_what_was_detected_can_be_overruled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"image;x,label;y\na,b\n")
    with pytest.raises(TableError, match="label"):
        read_table(tmp_path / "t.csv", ColumnsConfig(separator=";"))
    found = read_table(tmp_path / "t.csv", ColumnsConfig(separator=",", image="image;x", label="label;y"))
    assert found.frame.loc[1, ["image", "label"]].tolist() == ["a", "b"]
    (tmp_path / "t.csv").write_text("image\tlabel\na\tb\n")
    for typed in ("\t", "\\t", "tab"):
        assert read_table(tmp_path / "t.csv", ColumnsConfig(separator=typed)).frame["label"][1] == "b"
    with pytest.raises(TableError, match="no encoding 'klingon'"):
        read_table(tmp_path / "t.csv", ColumnsConfig(encoding="klingon"))
    with pytest.raises(TableError, match="the separator is one character"):
        read_table(tmp_path / "t.csv", ColumnsConfig(separator="::"))


def test_a_separator_line_of_excel(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("sep=;\nimage;label\na,1;b\n")
    assert read_cells(tmp_path / "t.csv").frame.to_dict("list") == {"image": ["a,1"], "label": ["b"]}


def compressed(name: str, content: bytes) -> bytes:
    import bz2
    import lzma

    if name.endswith(".zip"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("inner.csv", content)
            archive.writestr("__MACOSX/._inner.csv", b"rubbish")
        return file.getvalue()
    return {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}[Path(name).suffix](content)


@pytest.mark.parametrize("ending", COMPRESSED)
def test_compressed_tables(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"t.csv{ending}"
    path.write_bytes(compressed(path.name, written(";", "utf-16")))
    assert read_cells(path).frame.to_dict("list") == FRAME.to_dict("list")
    path.write_bytes(b"this is nothing of the kind")
    with pytest.raises(TableError, match="cannot be read as a CSV table"):
        read_cells(path)


def test_an_archive_of_two_tables_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("a.csv", "image,label\n")
        archive.writestr("b.csv", "image,label\n")
    with pytest.raises(TableError, match="2 files"):
        read_cells(tmp_path / "t.csv.zip")


JSONS = {
    "list.json": lambda: FRAME.to_json(orient="records", force_ascii=False),
    "columns.json": lambda: FRAME.to_json(force_ascii=False),
    "lists.json": lambda: json.dumps(FRAME.to_dict("list")),
    "lines.json": lambda: FRAME.to_json(orient="records", lines=True, force_ascii=False),
    "lines.jsonl": lambda: FRAME.to_json(orient="records", lines=True, force_ascii=False),
    "lines.ndjson": lambda: FRAME.to_json(orient="records", lines=True) + "\n\n",
}


@pytest.mark.parametrize("name", JSONS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json(name: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(JSONS[name]().encode(encoding))
    assert read_cells(tmp_path / name).frame.to_dict("list") == FRAME.to_dict("list")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.jsonl", '{"image": 1}\n[1, 2]\n', "line 2: .* is no JSON object"),
        ("t.jsonl", '{"image": 1}\n{"image": \n', "line 2: cannot be read as JSON"),
        ("t.json", "[1, 2]", "neither a list of objects"),
        ("t.json", '"text"', "neither a list of objects"),
        ("t.json", "{", "JSON"),
        ("t.xlsx", "no workbook", "no Excel workbook"),
        ("t.parquet", "no parquet", "PARQUET"),
    ],
)
def test_what_is_wrong_is_said(name: str, content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=message):
        read_cells(tmp_path / name)


def test_excel(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    numbers = FRAME.assign(label=[1, 2.0, 3.5], when=pd.Timestamp("2026-01-02"), empty=None)
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        numbers.to_excel(book, sheet_name="rows", index=False)
        FRAME.to_excel(book, sheet_name="other", index=False)
    table = read_table(tmp_path / "t.xlsx")
    assert table.frame["label"].tolist() == ["1", "2", "3.5"]
    assert any("sheet 'rows'" in note and "first of 2" in note for note in table.notes)


def test_a_lone_quotation_mark_swallows_no_rows(tmp_path: Path) -> None:
    rows = [f"{i}.png\t{'ab'[i % 2]}\t{text}" for i, text in enumerate(['"open', "x", 'y"', 'a 5" tall', '"', "z"])]
    for name, separator in (("t.tsv", "\t"), ("t.csv", ",")):
        text = "\n".join(["image\tlabel\tnote", *rows]) + "\n"
        (tmp_path / name).write_text(text.replace("\t", separator))
        found = read_cells(tmp_path / name)
        assert found.frame["image"].tolist() == [f"{i}.png" for i in range(6)]
        assert any("quotation marks are read as text" in note for note in found.notes)
    (tmp_path / "t.csv").write_text('image,label,note\na,b,"two\nlines, and a comma"\nc,d,e\n')  # a true one stays
    assert read_cells(tmp_path / "t.csv").frame["note"][0] == "two\nlines, and a comma"


def test_a_trailing_separator_shifts_nothing(tmp_path: Path) -> None:
    for head in ("image,label", "image,label,"):
        (tmp_path / "t.csv").write_text(f"{head}\na,b,\nc,d,\n")
        assert read_cells(tmp_path / "t.csv").frame.to_dict("list") == {"image": ["a", "c"], "label": ["b", "d"]}


def test_rows_of_other_lengths_are_said(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\na,b\nc,d,e\n")
    with pytest.raises(TableError, match="row 2: it has 3 fields and the head 2; the first beyond is 'e'"):
        read_cells(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_text("image,label\na,b\nc\n\n")
    found = read_cells(tmp_path / "t.csv")
    assert found.frame["label"].tolist() == ["b", ""]
    assert found.notes == ["1 row(s) have fewer fields than the head, row 2 the first; the rest is empty"]


def test_a_pipe_or_a_device_is_no_table(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.csv")
    with pytest.raises(TableError, match="a pipe or a device"):
        read_cells(tmp_path / "t.csv")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.lists(st.text("ab,;\"' \té", max_size=4), min_size=3, max_size=3), min_size=1, max_size=8),
    st.sampled_from(",;\t|"),
)
def test_what_a_program_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], separator: str
) -> None:
    frame = pd.DataFrame([["x", *row] for row in rows], columns=["image", "label", "note", "more"])
    path = tmp_path_factory.mktemp("written") / "t.csv"
    frame.to_csv(path, index=False, sep=separator)
    assert read_cells(path).frame.to_dict("list") == frame.to_dict("list")


WESTERN = {
    "French": "Bergère,Fauvette à tête noire,Pêche,Forêt,Rivière",
    "Portuguese": "Não,Maçã,Coração",
    "Swedish": "Blåmes,Näktergal",
    "German": "Mücke,Straße,Höhe",
}


@pytest.mark.parametrize("language", WESTERN)
def test_western_text_without_unicode_is_read_as_it_was_written(language: str, tmp_path: Path) -> None:
    labels = WESTERN[language].split(",")
    text = "image;label\n" + "".join(f"{i}.png;{label}\n" for i, label in enumerate(labels * 5))
    (tmp_path / "t.csv").write_bytes(text.encode("cp1252"))
    found = read_cells(tmp_path / "t.csv")
    assert found.frame["label"].tolist() == labels * 5
    assert any("cp1252, which is a guess and gives" in note for note in found.notes)


def test_an_archive_whose_name_does_not_say_what_is_in_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("__MACOSX/._t.csv", b"rubbish")
        archive.writestr("export/t.csv", "image,label\na,b\n")
    assert read_cells(tmp_path / "export.zip").frame["label"].tolist() == ["b"]


def test_other_shapes_of_json(tmp_path: Path) -> None:
    rows = [{"image": "a", "label": "x"}, {"image": "b", "label": "y"}]
    for content in ({"data": rows, "version": "1.0"}, pd.DataFrame(rows).to_dict("split")):
        (tmp_path / "t.json").write_text(json.dumps(content))
        assert read_table(tmp_path / "t.json").frame["label"].tolist() == ["x", "y"]
    (tmp_path / "t.jsonl").write_text('{"image": "a", "label": "x\\ud800", "note": "\\udfff"}\n')
    table = read_table(tmp_path / "t.jsonl")
    assert table.frame["label"][1] == "x\\ud800" and table.given["note"][1] == "\\udfff"


@pytest.mark.parametrize("name", ["t.json", "t.jsonl"])
@pytest.mark.parametrize("content", ["[" * 200_000, '{"a":' * 100_000])
def test_nested_beyond_all_measure(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match="cannot be read as a JSON"):
        read_cells(tmp_path / name)


def test_a_formula_without_its_value_is_not_taken_for_nothing(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["image", "label"], ["a.png", "x"], ['="b"&".png"', "y"]):
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(TableError, match=r"cell A3: it holds the formula .* without the value"):
        read_cells(tmp_path / "t.xlsx")


def test_the_other_sheets_are_named_where_the_first_is_no_table(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        pd.DataFrame({"Notes": ["x"]}).to_excel(book, sheet_name="Info", index=False)
        FRAME.to_excel(book, sheet_name="Data", index=False)
    with pytest.raises(TableError, match="no image and no audio column.*'Info' is read.*not 'Data'"):
        read_table(tmp_path / "t.xlsx", labelled=False)


def test_parquet_of_hugging_face_and_of_damaged_text(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}, "image": {"_type": "Image"}}
    said = {b"huggingface": json.dumps({"info": {"features": features}}).encode()}
    rows = pa.table({"image": ["a", "b", "c"], "label": [1, 0, -1]}).replace_schema_metadata(said)
    pq.write_table(rows, tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").frame["label"].tolist() == ["dog", "cat", ""]
    binary = pa.array([b"a", b"\xff"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 2, binary.buffers())  # bytes that claim to be text
    pq.write_table(pa.table({"image": text, "label": ["x", "y"]}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match="PARQUET"):
        read_table(tmp_path / "t.parquet")
