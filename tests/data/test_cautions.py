"""What makes numbers too good is found whatever it is called; what makes them uncertain is said."""

import os
import shutil
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sightsound.config import Config, ImageConfig
from sightsound.data.cautions import cautions
from sightsound.data.decode import prepare_rows
from sightsound.data.table import Table, read_table

CONFIG = Config(modalities=("image",), image=ImageConfig(height=8, width=8, channels=1))


def pictures(root: Path, count: int = 6) -> pd.DataFrame:
    """Different pictures in three splits of as many rows."""
    (root / "img").mkdir(parents=True)
    for i in range(count):
        pixels = np.random.default_rng(i).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "img" / f"{i}.png")
    splits = np.repeat(["train", "val", "test"], count // 3)
    return pd.DataFrame({"image": [f"img/{i}.png" for i in range(count)], "label": "a", "split": splits})


def said(frame: pd.DataFrame, root: Path, decoded: bool) -> list[str]:
    frame.to_csv(root / "t.csv", index=False)
    table = read_table(root / "t.csv")
    if not decoded:
        return cautions(table)
    rows, rejected = prepare_rows(table, CONFIG, None)
    assert not rejected
    return cautions(table, rows.stores, rows.rows)


SPELLINGS = {
    "the same": lambda root: "img/0.png",
    "with a dot": lambda root: "./img/0.png",
    "through a folder": lambda root: "img/../img/0.png",
    "absolute": lambda root: str(root / "img" / "0.png"),
    "as an address": lambda root: f"file://{root}/img/0.png",
    "a symbolic link": lambda root: os.symlink(root / "img/0.png", root / "link.png") or "link.png",
    "a hard link": lambda root: os.link(root / "img/0.png", root / "hard.png") or "hard.png",
}
COPIES = {
    "a copy": lambda root: shutil.copy(root / "img/0.png", root / "copy.png") and "copy.png",
    "written anew": lambda root: Image.open(root / "img/0.png").save(root / "again.bmp") or "again.bmp",
}


@pytest.mark.parametrize("decoded", [False, True])
@pytest.mark.parametrize("spelling", [*SPELLINGS, *COPIES])
def test_one_file_in_two_splits_is_found_however_it_is_spelt(spelling: str, decoded: bool, tmp_path: Path) -> None:
    frame = pictures(tmp_path)
    assert said(frame, tmp_path, decoded) == []
    frame.loc[5, "image"] = {**SPELLINGS, **COPIES}[spelling](tmp_path)
    notes = said(frame, tmp_path, decoded)
    if spelling in COPIES and not decoded:
        assert notes == []  # known only when files are read
        return
    [note] = notes
    assert "1 file(s) stand in more than one split" in note and "the test numbers will be too good" in note
    assert "img/0.png in row" in note and "6" in note


def test_copies_within_a_split_and_blank_pictures_are_no_leak(tmp_path: Path) -> None:
    frame = pictures(tmp_path)
    frame.loc[1, "image"] = "./img/0.png"
    for row in (2, 4):
        Image.new("L", (8, 8), 255).save(tmp_path / f"blank{row}.png")
        frame.loc[row, "image"] = f"blank{row}.png"
    assert said(frame, tmp_path, decoded=True) == []


def test_equal_checksums_are_not_taken_for_equal_content(tmp_path: Path) -> None:
    class Colliding:
        values = torch.tensor([[0, 0], [1, 2], [3, 4], [1, 2]], dtype=torch.uint8)
        entry = torch.tensor([1, 2, 3])

        def checksums(self) -> np.ndarray:
            return np.array([7, 7, 7], np.uint32)

    def table(splits: list[str]) -> Table:
        return read_table(pd.DataFrame({"image": ["a", "b", "c"], "label": "x", "split": splits}))

    assert cautions(table(["train", "test", "train"]), {"image": Colliding()}) == []
    assert "a in row 1 and c" in cautions(table(["train", "test", "test"]), {"image": Colliding()})[0]


def test_a_given_split_that_cuts_groups_is_said() -> None:
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    frame = pd.DataFrame({"image": [f"{i}" for i in range(12)], "label": "x", "split": splits})
    groups = [f"g{i}" for i in range(11)]
    note = cautions(read_table(frame.assign(group=[*groups, "g0"])))[0]
    assert "1 of 11 groups have rows in more than one split, for instance 'g0' in rows 1 and 12" in note
    assert "the test numbers will be too good" in note and "--group-split" in note
    assert not any("more than one split" in n for n in cautions(read_table(frame.assign(group=[*groups, "g11"]))))
    validation = cautions(read_table(frame.assign(group=[*groups[:6], "g0", *groups[7:], "g11"])))[0]
    assert "the validation numbers will be too good" in validation


def test_rare_classes_and_few_groups_in_the_test_are_said() -> None:
    labels = ["a"] * 50 + ["b"] * 9 + ["c"] * 10
    frame = pd.DataFrame({"image": [f"{i}" for i in range(69)], "label": labels})
    [note] = cautions(read_table(frame))
    assert "1 of 3 classes are rare: 'b' (9 rows)." in note and "--logit-adjustment auto" in note
    defects = pd.DataFrame({"image": [f"{i}" for i in range(2000)], "label": ["fine"] * 1960 + ["defect"] * 40})
    [note] = cautions(read_table(defects.assign(split=["test", "val", *["train"] * 6] * 250)))
    assert "1 of 2 classes are rare: 'defect' (40 rows: 30 train, 5 val, 5 test)." in note
    assert "With fewer than 20 test rows" in note and "more than 15 points" in note
    grouped = frame[:60].assign(label=["a", "c"] * 30, split=["train"] * 50 + ["test"] * 10)
    [note] = cautions(read_table(grouped.assign(group=[f"g{i % 4}" if i >= 50 else f"t{i}" for i in range(60)])))
    assert "the test split has 4 group(s)" in note
    assert cautions(read_table(grouped.assign(group=[f"g{i}" for i in range(60)]))) == []


def test_classes_that_a_split_lacks_are_said() -> None:
    frame = pd.DataFrame({"image": [f"{i}" for i in range(60)], "label": ["a", "b", "c"] * 20})
    given = frame.assign(split=["train"] * 30 + ["val"] * 15 + ["test"] * 15)
    assert cautions(read_table(given)) == []
    without = given[~((given["split"] == "val") & (given["label"] != "a"))]
    [note] = cautions(read_table(without))
    assert note.startswith("2 class(es) have no val row: 'b', 'c'; nothing that validation rows choose")
    [note] = cautions(read_table(given[~((given["split"] == "test") & (given["label"] == "b"))]))
    assert note == "1 class(es) have no test row: 'b'; how well they are recognised is not measured"
    assert cautions(read_table(frame.assign(split="train"))) == []  # there is no such split at all


def test_files_with_two_labels_are_said() -> None:
    frame = pd.DataFrame({"image": ["a", "b", "a"], "audio": ["x", "x", "x"], "label": ["cat", "cat", "dog"]})
    [note] = cautions(read_table(frame))
    assert "1 file(s) or pairs have more than one label, for instance rows 1 and 3: 'cat' and 'dog'" in note
    assert cautions(read_table(frame.assign(label="cat"))) == []


def test_many_files_take_no_longer_each_than_few() -> None:
    def seconds(rows: int) -> float:
        splits = np.resize(["train", "test"], rows)
        names = [f"{i // 2}.png" for i in range(rows)]
        table = read_table(pd.DataFrame({"image": names, "audio": names, "label": "a", "split": splits}))
        begin = time.perf_counter()
        assert f"{rows // 2 * 2} file(s)" in cautions(table)[0]
        return time.perf_counter() - begin

    seconds(100)
    assert seconds(16_000) < 8 * 4 * min(seconds(2_000) for _ in range(3))  # quadratic would be 64 times
