"""Text that is not what it seems: marks, blanks between columns, signs within cells that end a line elsewhere."""

from pathlib import Path

import pytest

from sightsound.data.formats import read_cells
from sightsound.data.table import read_table
from sightsound.errors import TableError


def test_a_table_divided_by_blanks_says_so(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"image" "label"\n"a" "b"\n')
    with pytest.raises(TableError, match="one column only.*--columns.separator"):
        read_table(tmp_path / "t.csv")


def test_what_else_may_stand_in_a_cell(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"image": "a", "label": "x\u2028y"}\n', encoding="utf-8")
    assert len(read_cells(tmp_path / "t.jsonl").frame) == 1
    (tmp_path / "t.csv").write_bytes("image,label\na,b\n".encode("utf-8-sig"))
    assert list(read_cells(tmp_path / "t.csv", encoding="utf-8").frame) == ["image", "label"]
    for empty in (",,\n,,\n", "sep=;\n"):
        (tmp_path / "t.csv").write_text(empty)
        with pytest.raises(TableError, match="the table is empty"):
            read_cells(tmp_path / "t.csv")
