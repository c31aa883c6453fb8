"""All table formats give the same rows; what is wrong with a table is said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sightsound.config import ColumnsConfig, roles
from sightsound.data.table import incomplete_rows, read_table
from sightsound.errors import TableError
from sightsound.types import SPLITS

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

ROLES = roles()


@pytest.mark.parametrize("name", WRITERS)
def test_formats_agree(name: str, tmp_path: Path) -> None:
    WRITERS[name](FRAME, tmp_path / name)
    table = read_table(tmp_path / name)
    assert table.frame["image"].tolist() == ["a.png", "", "sub/ü b.png"]
    assert table.frame["label"].tolist() == ["7", "NA", "7"]
    assert table.frame.index.tolist() == [1, 2, 3]
    assert table.path("a.png") == tmp_path / "a.png"
    assert set(table.frame) == {*ROLES, "row"}


def test_a_data_frame_with_numbers_and_nan() -> None:
    frame = pd.DataFrame({"image": ["a", np.nan], "label": [7.0, 8.0]})
    table = read_table(frame)
    assert table.frame["label"].tolist() == ["7", "8"]
    assert table.frame["image"].tolist() == ["a", ""]


def make_files(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_bytes(b"x")


def test_a_folder_of_classes(tmp_path: Path) -> None:
    make_files(tmp_path, "cat/1.png", "cat/1.wav", "cat/2.JPG", "dog/1.flac", "dog/notes.txt")
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
    "no files": ("picture,label\na,b\n", "no image and no audio column"),
    "no rows": ("image,label\n", "no rows"),
    "empty": ("", "empty"),
    "ragged": ("image,label\na,b\nc,d,e,f\n", "row 2: it has 4 fields and the head 2"),
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
    (tmp_path / "none").mkdir()
    with pytest.raises(TableError, match="no class folders"):
        read_table(tmp_path / "none")


@pytest.mark.parametrize("spell", [str.upper, str.title, lambda name: f" {name} ", lambda name: f"\t{name.upper()}"])
def test_names_of_columns_match_whatever_their_case_and_blanks(spell, tmp_path: Path) -> None:
    frame = pd.DataFrame({role: ["1", "2"] for role in ROLES}).assign(split=["train", "test"])
    table = read_table(frame.rename(columns=spell))
    assert table.frame[list(ROLES[:6])].equals(read_table(frame).frame[list(ROLES[:6])]) and not table.notes


@pytest.mark.parametrize("role", ROLES)
def test_a_column_that_was_named_must_be_there(role: str) -> None:
    frame = pd.DataFrame({"image": ["a"], "label": ["b"], "speaker": ["c"]})
    with pytest.raises(TableError, match=rf"no column 'spaeker' \(--columns\.{role}\)\. Did you mean 'speaker'"):
        read_table(frame, ColumnsConfig(**{role: "spaeker"}))
    named = ColumnsConfig(**{role: "spaeker"})  # the training's names need not be in every table
    if role not in ("image", "label"):
        assert read_table(frame, named, assumed=named).frame[role].tolist() == [""]


@pytest.mark.parametrize(
    ("role", "name"), [("group", "groups"), ("split", "splits"), ("audio", "audios"), ("time", "times")]
)
def test_a_column_whose_name_is_nearly_right_is_said(role: str, name: str) -> None:
    table = read_table(pd.DataFrame({"image": ["a"], "label": ["b"], name: ["c"], "notes": ["d"]}))
    assert table.notes == (f"the column {name!r} is not used; if it is the {role}, name it: --columns.{role} {name!r}",)


def test_two_columns_for_one_role_are_refused() -> None:
    with pytest.raises(TableError, match="'Group' and 'GROUP' are both the column 'group'"):
        read_table(pd.DataFrame([["a", "b", "c", "d"]], columns=["image", "label", "Group", "GROUP"]))
    exact = pd.DataFrame([["a", "b", "c", "d"]], columns=["image", "label", "Group", "group"])
    assert read_table(exact).frame["group"].tolist() == ["d"]
    with pytest.raises(TableError, match="'label' and 'label' are both"):
        read_table(pd.DataFrame([["a", "b", "c"]], columns=["image", "label", "label"]))


@pytest.mark.parametrize("spell", [str, str.upper, str.title, lambda split: f" {split} "])
def test_a_split_means_the_same_however_it_is_spelt(spell) -> None:
    for split, spellings in SPLITS.items():
        frame = pd.DataFrame({"image": "a", "label": "b", "split": [spell(one) for one in spellings]})
        assert set(read_table(frame).frame["split"]) == {split}
    for unknown in ("eval", "0", "holdout", "test2"):
        with pytest.raises(TableError, match=f"row 2: the split '{unknown}' is not known.*train, val or test"):
            read_table(pd.DataFrame({"image": "a", "label": "b", "split": ["train", unknown]}))


@pytest.mark.parametrize("write", ["parquet", "frame"])
def test_a_named_index_is_a_column(write: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "label": ["x", "y"], "group": ["g", "h"], "split": ["train", "test"]})
    for index in (["group"], ["group", "split"]):
        indexed = frame.set_index(index)
        if write == "parquet":
            indexed.to_parquet(tmp_path / "t.parquet")
        table = read_table(tmp_path / "t.parquet" if write == "parquet" else indexed)
        assert table.frame["group"].tolist() == ["g", "h"] and table.frame["split"].tolist() == ["train", "test"]


def test_a_label_is_the_same_class_in_every_format(tmp_path: Path) -> None:
    numbers = pd.DataFrame({"image": ["a", "b", "c"], "label": [1.0, 2.0, np.nan], "group": [7.0, 7.0, 8.0]})
    for name in WRITERS:
        WRITERS[name](numbers, tmp_path / name)
        table = read_table(tmp_path / name)
        assert table.frame["label"].tolist() == ["1", "2", ""], name
        assert table.frame["group"].tolist() == ["7", "7", "8"], name
    versions = pd.DataFrame({"image": ["a", "b"], "label": ["1", "1.0"]})
    assert read_table(versions).frame["label"].tolist() == ["1", "1.0"]  # two names, and not one
    accents = pd.DataFrame({"image": ["a", "b"], "label": ["caf\u00e9", "cafe\u0301"]})  # as two systems write it
    assert read_table(accents).frame["label"].nunique() == 1


def test_classes_that_differ_only_in_case_are_said() -> None:
    [note] = read_table(pd.DataFrame({"image": ["a", "b"], "label": ["Robin", "robin"]})).notes
    assert "'Robin' and 'robin' are different classes" in note


BYTES = b"\x89PNG and more"


@pytest.mark.parametrize(
    ("cell", "path", "content"),
    [
        (BYTES, None, BYTES),
        (bytearray(BYTES), None, BYTES),
        ({"bytes": BYTES, "path": "cat.png"}, None, BYTES),
        ({"bytes": BYTES, "path": None}, None, BYTES),
        ({"bytes": None, "path": "cat.png"}, "cat.png", None),
        (Path("cat.png"), "cat.png", None),
        (b"", "", None),
        (None, "", None),
        (float("nan"), "", None),
        (pd.NA, "", None),
    ],
)
def test_a_cell_may_hold_a_path_or_bytes(cell: object, path: str | None, content: bytes | None) -> None:
    table = read_table(pd.DataFrame({"image": pd.Series([cell, "x.png"], dtype=object), "label": ["a", "b"]}))
    name = table.frame.loc[1, "image"]
    if content is None:
        assert name == path
    else:
        assert table.source(name) == content and table.display_name(name) == name
        assert name.startswith("cat.png#") == (isinstance(cell, dict) and bool(cell["path"]))
        again = read_table(pd.DataFrame({"image": pd.Series([table.cell(name)], dtype=object), "label": ["a"]}))
        assert again.source(again.frame.loc[1, "image"]) == content


@pytest.mark.parametrize("value", [["a", "b"], {"x": 1}, np.array([1, 2]), ("a",), {"a"}])
@pytest.mark.parametrize("column", ["image", "label", "group", "split", "image_mask"])
def test_a_cell_with_many_values_is_said_with_its_row(value: object, column: str) -> None:
    frame = pd.DataFrame({"image": ["a", "b"], "label": ["x", "y"]}, dtype=object)
    frame[column] = pd.Series(["train" if column == "split" else "x", value], dtype=object)
    with pytest.raises(TableError, match=rf"row 2, column '{column}'"):
        read_table(frame)


def test_paths_of_other_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    make_files(tmp_path, "odd\\name.png", "sub/1.png")
    given = ["sub\\1.png", "~/2.png", f"file://{tmp_path}/3%20a.png", "odd\\name.png", "plain.png"]
    pd.DataFrame({"image": given, "label": "a"}).to_csv(tmp_path / "t.csv", index=False)
    absolute = [f"{tmp_path}/{name}" for name in ("sub/1.png", "home/2.png", "3 a.png", "odd\\name.png")]
    expected = [*absolute, "plain.png"]
    assert read_table(tmp_path / "t.csv").frame["image"].tolist() == expected


def test_what_a_folder_has_beside_its_classes_is_said(tmp_path: Path) -> None:
    make_files(
        tmp_path, "cat/1.png", "cat/1.m4a", "dog/2.heic", "dog/3.heic", "dog/deep/4.png", "5.png", "dog/6.txt", "dog/.x"
    )
    table = read_table(tmp_path)
    assert table.frame[["image", "audio", "label"]].to_numpy().tolist() == [["cat/1.png", "cat/1.m4a", "cat"]]
    misplaced, kinds = table.notes
    assert "2 file(s) are not in the folder of a class and passed over, such as 5.png" in misplaced
    assert "2 .heic, 1 .txt" in kinds


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation", "Testing"), ("train", "test")])
def test_splits_on_top_of_a_folder(names: tuple[str, ...], tmp_path: Path) -> None:
    make_files(tmp_path, *[f"{name}/{label}/1.png" for name in names for label in ("cat", "dog")])
    frame = read_table(tmp_path).frame
    assert frame["label"].tolist() == ["cat", "dog"] * len(names)
    assert set(frame["split"]) == ({"train", "val", "test"} if len(names) == 3 else {"train", "test"})


def test_classes_may_be_called_like_splits(tmp_path: Path) -> None:
    make_files(tmp_path, "train/1.png", "test/1.png")
    frame = read_table(tmp_path).frame
    assert frame["label"].tolist() == ["test", "train"] and set(frame["split"]) == {""}


def test_a_folder_to_predict_needs_no_classes(tmp_path: Path) -> None:
    make_files(tmp_path, "1.png", "1.wav", "deep/er/2.png", "notes.txt")
    with pytest.raises(TableError, match=r"CLASS/name\.png; 3 lie elsewhere, such as 1\.png"):
        read_table(tmp_path)
    table = read_table(tmp_path, labelled=False, measured=False)
    assert table.frame[["image", "audio"]].to_numpy().tolist() == [["1.png", "1.wav"], ["deep/er/2.png", ""]]


def test_columns_of_one_name_that_nobody_needs_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label,foo,foo,foo\na,b,1,2,3\n")
    assert list(read_table(tmp_path / "t.csv").given) == ["image", "label", "foo", "foo (2)", "foo (3)"]


def test_rows_in_python_are_a_table_too() -> None:
    rows = [{"image": "a", "label": "x"}, {"image": "b", "label": "y"}]
    assert read_table(rows).frame["label"].tolist() == ["x", "y"]
    assert read_table({"image": ["a"], "label": ["x"]}).frame["image"].tolist() == ["a"]


@pytest.mark.parametrize(("role", "name"), [("group", "Speaker"), ("split", "subset"), ("audio", "sound")])
def test_other_names_of_a_role_are_said(role: str, name: str) -> None:
    [note] = read_table(pd.DataFrame({"image": ["a"], "label": ["b"], name: ["c"]})).notes
    assert f"if it is the {role}, name it: --columns.{role} '{name}'" in note
    none = read_table(pd.DataFrame({"image": ["a"], "label": ["b"], role: ["train"], name: ["c"]}))
    assert none.notes == ()
