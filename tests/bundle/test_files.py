"""Many processes that save to one name and read it: each reader finds one whole bundle, whoever is killed."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sightsound.bundle import files
from sightsound.bundle.files import CLASSIFIER, CONFIG, Saved, save_tensors, write_files
from sightsound.errors import BundleError
from tests.processes import Started

SAVER = """
import sys, torch
from pathlib import Path
from sightsound.bundle import files
from sightsound.bundle.files import CLASSIFIER, CONFIG, write_files
number, folder, times = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
for i in range(times):
    number += 1000
    tensors = {"model.safetensors": {"x": torch.full((20_000,), float(number))}}
    write_files(folder, tensors, {CONFIG: {"format": 1, "kind": CLASSIFIER, "config": {"number": number}}}, "card")
"""
NAMES = ["model.safetensors", CONFIG]


def saver(number: int, folder: Path, times: int) -> Started:
    started = Started("-c", SAVER, number, folder, times)
    started.stdout.readline()
    return started


def read(folder: Path) -> int:
    """The number in a bundle, the same in both files."""
    saved = Saved(folder, CLASSIFIER, 1, NAMES)
    number = saved.json(CONFIG)["config"]["number"]
    assert (saved.tensors("model.safetensors")["x"] == number).all()
    return int(number)


def save(folder: Path, number: int) -> None:
    tensors = {"model.safetensors": {"x": torch.full((20_000,), float(number))}}
    write_files(folder, tensors, {CONFIG: {"format": 1, "kind": CLASSIFIER, "config": {"number": number}}}, "card")


def test_readers_find_the_old_or_the_new_while_others_save(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    save(folder, 0)
    savers = [saver(number, folder, 30) for number in (1, 2)]
    seen = set()
    while any(one.runs() for one in savers):
        seen.add(read(folder))
    assert [one.end().returncode for one in savers] == [0, 0]
    assert len(seen) > 5 and read(folder) in (30_001, 30_002)
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_killed_savers_leave_a_whole_bundle_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    save(folder, 0)
    for wait in (0.02, 0.09):
        one = saver(1, folder, 10**6)
        time.sleep(wait)
        os.kill(one.pid, signal.SIGKILL)
        one.end()
        read(folder)
    living = tmp_path / f".bundle.partial-{os.getppid()}-0123abcd@{os.uname().nodename}"
    elsewhere = tmp_path / ".bundle.partial-999999-0123abcd@another.host"
    dead = tmp_path / ".bundle.partial-999999"  # as earlier versions named them
    other = tmp_path / ".bundle.partial-mine.txt"
    for path in (living, elsewhere, dead, other):
        path.mkdir()
    save(folder, 7)
    assert read(folder) == 7
    assert set(tmp_path.iterdir()) == {folder, living, elsewhere, other}


def test_a_saver_killed_between_two_renames_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bundle"
    save(folder, 3)
    folder.rename(tmp_path / f".bundle.old-999999-0123abcd-0@{os.uname().nodename}")
    monkeypatch.setattr("sightsound.bundle.files.PATIENCE_SECONDS", 0.05)
    assert read(folder) == 3
    save(folder, 4)
    assert read(folder) == 4 and [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_what_is_no_bundle_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "a[b]").mkdir()
    (tmp_path / "a[b]" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    for name in ("a[b]", "file"):
        with pytest.raises(BundleError, match="something other than a bundle"):
            save(tmp_path / name, 1)
    with pytest.raises(BundleError, match="cannot be written"):
        save(tmp_path / "file" / "below", 1)
    assert {path.name for path in tmp_path.iterdir()} == {"a[b]", "file"}


@pytest.mark.parametrize("mask", [0o022, 0o027, 0o077])
def test_the_umask_says_who_may_read(tmp_path: Path, mask: int) -> None:
    before = os.umask(mask)
    try:
        save(tmp_path / "bundle", 1)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "bundle").iterdir()} == {0o666 & ~mask}
    assert (tmp_path / "bundle").stat().st_mode & 0o777 == 0o777 & ~mask
    assert json.loads((tmp_path / "bundle" / CONFIG).read_text())["format"] == 1


def test_tensors_that_cannot_be_written_whole_leave_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "stage.safetensors"
    save_tensors({"x": torch.ones(9)}, file)
    whole = Path.write_bytes

    def half(path: Path, content: bytes) -> int:
        whole(path, content[: len(content) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="full"):
        save_tensors({"x": torch.zeros(9)}, file)
    assert torch.equal(load_file(file)["x"], torch.ones(9))


def test_a_bundle_that_is_replaced_between_two_looks_is_neither_refused_nor_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another saver does it: at the first look the bundle is away, at the second it is there again."""
    folder, away, looks = tmp_path / "bundle", tmp_path / "away", []
    identity, place = files._identity, files._place
    save(folder, 0)

    def seen(path: Path) -> object:
        looks.append(path)
        if len(looks) == 2:
            (away / CONFIG).rename(folder / CONFIG)
        return identity(path)

    away.mkdir()
    (folder / CONFIG).rename(away / CONFIG)
    with monkeypatch.context() as patched:
        patched.setattr(files, "_identity", seen)
        save(folder, 7)
    assert read(folder) == 7

    def found(path: Path) -> Path | None:
        looks.append(path)
        if len(looks) == 2:
            (away / "bundle").rename(folder)
        return place(path) or path

    looks.clear()
    folder.rename(away / "bundle")
    monkeypatch.setattr(files, "_place", found)
    assert read(folder) == 7
