"""Stores on disk: what was read once is found again, whatever happened to the writer, the disk or the files."""

import os
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsound.data.prepared.disk import RECORD, DiskStore, StoredRows
from sightsound.data.prepared.reading import Reading
from sightsound.data.prepared.store import Store, derive, read_store
from sightsound.data.table import read_table
from sightsound.errors import StoreError
from tests.processes import Started

COUNTED: list[str] = []


def read_number(path: str) -> np.ndarray:
    COUNTED.append(path)
    return np.full(3, int(Path(path).read_text()), np.float32)


NUMBERS = Reading(read_number, (3,), "float32", "numbers", ["image"])


def write_numbers(folder: Path, count: int) -> Path:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        (folder / f"{i}.txt").write_text(str(i))
    frame = pd.DataFrame({"image": [f"{i}.txt" for i in range(count)], "label": ["a", "b"] * (count // 2)})
    frame.to_csv(folder / "table.csv", index=False)
    return folder / "table.csv"


def numbers(table: Path, folder: Path) -> Store:
    store, rejected = read_store(read_table(table), NUMBERS, "reading", folder)
    assert not rejected
    return store


def content(store: Store) -> list[float]:
    return store.read(store.entry)[:, 0].tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 2**64 - 1), unique=True, max_size=20), st.data())
def test_rows_are_found_by_key(tmp_path_factory: pytest.TempPathFactory, keys: list[int], data: st.DataObject) -> None:
    store = DiskStore(tmp_path_factory.mktemp("disk") / "s", (2,), "int16", {})
    values = np.arange(2 * len(keys), dtype=np.int16).reshape(-1, 2)
    with store.write_lock():
        cut = data.draw(st.integers(0, len(keys)))
        store.append(np.array(keys[:cut], np.uint64), values[:cut])
        store.append(np.array(keys[cut:], np.uint64), values[cut:])
    assert not store.has_damage()
    again = DiskStore(store.folder, (2,), "int16", {})
    places = again.find(np.array([*keys, 2**64 - 1 if 2**64 - 1 not in keys else 0], np.uint64))
    assert places.tolist() == [*range(1, len(keys) + 1), 0]
    assert StoredRows(again)[torch.from_numpy(places[:-1])].numpy().tolist() == values.tolist()


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path: Path) -> None:
    table = write_numbers(tmp_path / "files", 10)
    COUNTED.clear()
    assert content(numbers(table, tmp_path / "store")) == list(range(10))
    assert content(numbers(table, tmp_path / "store")) == list(range(10))
    assert len(COUNTED) == 10
    for name, text in (("4.txt", "444"), ("5.txt", "7")):  # of another size; of the same, at another time
        (tmp_path / "files" / name).write_text(text)
        os.utime(tmp_path / "files" / name, ns=(1, 1))
    assert content(numbers(table, tmp_path / "store"))[4:6] == [444, 7]
    assert len(COUNTED) == 12


@pytest.mark.parametrize(("file", "left"), [("rows.bin", 12 * 6 + 5), ("index.bin", RECORD.itemsize * 4 + 3)])
def test_what_a_killed_writer_left_half_written_is_read_again(tmp_path: Path, file: str, left: int) -> None:
    table = write_numbers(tmp_path / "files", 10)
    numbers(table, tmp_path / "store")
    with (tmp_path / "store" / file).open("r+b") as damaged:
        damaged.truncate(left)
    COUNTED.clear()
    assert content(numbers(table, tmp_path / "store")) == list(range(10))
    assert len(COUNTED) == 10 - (left // (12 if file == "rows.bin" else RECORD.itemsize) - 1)


def test_a_damaged_store_is_made_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_numbers(tmp_path / "files", 10)
    numbers(table, tmp_path / "store")
    with (tmp_path / "store" / "rows.bin").open("r+b") as rows:
        rows.seek(40)
        rows.write(b"\x55")
    assert content(numbers(table, tmp_path / "store")) == list(range(10))
    assert "damaged; they are made anew" in capsys.readouterr().err
    (tmp_path / "store" / "rows.bin").unlink()
    assert content(numbers(table, tmp_path / "store")) == list(range(10))


SLOW = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_disk import NUMBERS, content, numbers, read_number
import sightsound.data.prepared.store as store
store.CHUNK = 4
import dataclasses
def slowly(path):
    time.sleep(0.02)
    return read_number(path)
import test_disk
test_disk.NUMBERS = dataclasses.replace(NUMBERS, read=slowly)
print(content(numbers(Path(sys.argv[1]), Path(sys.argv[2]))))
"""


def begin(table: Path, store: Path) -> Started:
    return Started("-c", SLOW.format(tests=str(Path(__file__).parent)), table, store)


def test_two_runs_that_build_the_same_store(tmp_path: Path) -> None:
    table = write_numbers(tmp_path / "files", 60)
    both = [begin(table, tmp_path / "store") for _ in range(2)]
    for process in both:
        done = process.end()
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == str([float(i) for i in range(60)])
    assert len(DiskStore(tmp_path / "store", (3,), "float32", {}).keys()) == 61


def test_a_killed_build_goes_on(tmp_path: Path) -> None:
    table = write_numbers(tmp_path / "files", 200)
    process = begin(table, tmp_path / "store")
    index = tmp_path / "store" / "index.bin"
    while process.runs() and not (index.exists() and index.stat().st_size > 20 * RECORD.itemsize):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.end()
    COUNTED.clear()
    assert content(numbers(table, tmp_path / "store")) == list(range(200))
    assert 0 < len(COUNTED) < 190


def test_a_store_is_derived_once(tmp_path: Path) -> None:
    table = write_numbers(tmp_path / "files", 10)
    calls = []

    def doubled(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return 2 * x[:, :1]

    for _ in range(2):
        store = derive(numbers(table, tmp_path / "store"), doubled, "doubled", tmp_path / "more", "doubling", (1,))
        assert content(store) == [2.0 * i for i in range(10)]
    assert sum(calls) == 10


def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be kept there.*SIGHTSOUND_CACHE"):
        DiskStore(tmp_path / "file" / "store", (1,), "uint8", {})


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    place = tmp_path / "small"
    place.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", place]).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        store = DiskStore(place / "store", (10_000,), "uint8", {})
        with pytest.raises(StoreError, match="No space left"), store.write_lock():
            store.append(np.arange(1, 21, dtype=np.uint64), np.zeros((20, 10_000), np.uint8))
        again = DiskStore(place / "store", (10_000,), "uint8", {})
        assert not again.has_damage() and len(again.keys()) == 1
    finally:
        subprocess.run(["umount", place], check=True)


def test_checksums_tell_equal_content_from_other_wherever_rows_are(tmp_path: Path) -> None:
    table = write_numbers(tmp_path / "files", 4)
    (tmp_path / "files" / "2.txt").write_text("0")
    on_disk = numbers(table, tmp_path / "store").checksums()
    in_memory, _ = read_store(read_table(table), NUMBERS, "reading")
    np.testing.assert_array_equal(on_disk, in_memory.checksums())
    assert on_disk[0] == on_disk[2] and len(set(on_disk.tolist())) == 3


def test_threads_share_a_store(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "s", (500,), "int16", {})
    values = np.arange(40, dtype=np.int16)[:, None].repeat(500, 1)
    with store.write_lock():
        store.append(np.arange(1, 41, dtype=np.uint64), values)
    rows = StoredRows(store)

    def read(seed: int) -> bool:
        places = np.random.default_rng(seed).integers(0, 40, 200)
        return bool((rows[torch.from_numpy(places + 1)].numpy() == values[places]).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(read, range(64)))


def test_a_store_that_can_only_be_read_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = write_numbers(tmp_path / "files", 6)
    numbers(table, tmp_path / "store")
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()}
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    assert content(numbers(table, tmp_path / "store")) == [0, 1, 2, 3, 4, 5]
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").iterdir()} == before


def test_what_is_there_is_derived_without_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that can only be read."""
    store = numbers(write_numbers(tmp_path / "data", 6), tmp_path / "store")

    def doubled(values: torch.Tensor) -> torch.Tensor:
        return 2 * values

    made = content(derive(store, doubled, "doubled", tmp_path / "more", "doubling", (3,)))
    monkeypatch.setattr("sightsound.data.prepared.disk.os.access", lambda *given: False)
    monkeypatch.setattr(DiskStore, "write_lock", lambda self: pytest.fail("it is locked"))
    assert content(derive(store, doubled, "doubled", tmp_path / "more", "doubling", (3,))) == made


def test_rows_of_another_shape_are_not_taken_for_these(tmp_path: Path) -> None:
    store = DiskStore(tmp_path / "s", (2,), "float32", {})
    with store.write_lock():
        store.append(np.array([5], np.uint64), np.ones((1, 2), np.float32))
    assert DiskStore(tmp_path / "s", (2,), "float32", {}).find(np.array([5], np.uint64))[0] > 0
    other = DiskStore(tmp_path / "s", (3,), "float32", {})
    assert other.find(np.array([5], np.uint64))[0] == 0 and not other.has_damage()
