"""Stores and batches: one entry a file, blanks for what is absent, an order that repeats."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sightsound.data.dataset import BatchOrder, Rows, loader
from sightsound.data.prepared.reading import Reading
from sightsound.data.prepared.store import Store, read_store
from sightsound.data.table import Rejected, Table, read_table
from sightsound.errors import FileError


def read_number(path: str) -> np.ndarray:
    if "bad" in path:
        raise FileError(path, "is bad")
    return np.full(2, float(Path(path).stem), np.float32)


NUMBERS = Reading(read_number, (2,), "float32", "numbers", ["image"])


def numbers(table: Table, folder: Path | None = None) -> tuple[Store, list[Rejected]]:
    return read_store(table, NUMBERS, "reading", folder)


def table() -> Table:
    return read_table(pd.DataFrame({"image": ["3", "", "bad", "3", "5"], "label": list("abcde")}))


def test_a_store_holds_each_file_once(tmp_path: Path) -> None:
    for folder in (None, tmp_path / "store"):
        store, rejected = numbers(table(), folder)
        assert store.read(store.entry).tolist() == [[3, 3], [0, 0], [0, 0], [3, 3], [5, 5]]
        assert store.entry.tolist() == [1, 0, 0, 1, 3]
        assert [(bad.row, bad.file, bad.reason) for bad in rejected] == [(3, "bad", "is bad")]


def test_batches_show_what_is_there() -> None:
    store, _ = numbers(table())
    rows = Rows({"image": store}, torch.arange(5), torch.tensor([0, 1, 3, 4]))
    batches = list(loader(rows, 3))
    assert [batch.target.tolist() for batch in batches] == [[0, 1, 3], [4]]
    assert batches[0].present["image"].tolist() == [True, False, True]
    assert batches[0].inputs["image"][:, 0].tolist() == [3, 0, 3]


def test_many_files_keep_their_order() -> None:
    names = [str(i) for i in range(1, 700)]
    store, _ = numbers(read_table(pd.DataFrame({"image": names, "label": names})))
    assert store.values[torch.arange(1, 700)][:, 0].tolist() == [float(i) for i in range(1, 700)]


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    def order(seed: int | None, epoch: int) -> list[list[int]]:
        sampler = BatchOrder(10, 4, seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 3) == order(0, 3)
    assert order(0, 3) != order(0, 4)
    assert order(0, 3) != order(1, 3)
    assert sorted(sum(order(0, 3), [])) == list(range(10))
    assert order(None, 5) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


@pytest.mark.parametrize("where", ["memory", "file for now", "store"])
def test_a_bad_file_of_a_later_chunk_is_named(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sightsound.data.prepared.store.CHUNK", 2)
    if where == "file for now":
        monkeypatch.setattr("sightsound.data.prepared.store.MEMORY_BYTES", 1)
    given = read_table(pd.DataFrame({"image": ["1", "2", "3", "bad", "5"], "label": list("abcde")}))
    store, rejected = numbers(given, tmp_path / "store" if where == "store" else None)
    assert [(bad.row, bad.file) for bad in rejected] == [(4, "bad")]
    assert store.read(store.entry)[:, 0].tolist() == [1, 2, 3, 0, 5]
