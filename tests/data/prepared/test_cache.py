"""What `data clean` removes: what sightsound made, and nothing else that stands in the same folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from sightsound.data.datasets import dataset
from sightsound.data.prepared.cache import list_cached
from sightsound.data.prepared.disk import DiskStore
from sightsound.data.sources import SourceOptions


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder that is the cache as well, with things of theirs in the places where ours would be."""
    home = tmp_path / "home"
    for name in ("data/photos", "prepared/dinner", "fetched/mnist", "data/about"):
        (home / name).mkdir(parents=True)
        (home / name / "mine.txt").write_text("years of work")
    (home / "data" / "photos" / "table.csv").write_text("image,label\n")
    (home / "data" / "about" / "about.json").write_text('{"what": "me"}')
    (home / "data" / "notes.lock").write_text("mine")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "table.csv").write_text("image,label\n")
    (tmp_path / "elsewhere" / "about.json").write_text('{"what": "linked", "sightsound": ""}')
    (home / "data" / "linked").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("SIGHTSOUND_CACHE", str(home))
    return home


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): path.read_text() for path in files}


def test_everything_of_ours_goes_and_everything_else_stays(home: Path, typed) -> None:
    before, linked = contents(home), contents(home.parent / "elsewhere")
    (home.parent / "classes" / "a").mkdir(parents=True)
    (home.parent / "classes" / "a" / "1.png").touch()
    dataset("folder", SourceOptions(root=str(home.parent / "classes")))
    store = DiskStore(home / "prepared" / "0123456789abcdef", (3,), "float32", {"what": "image"})
    with store.write_lock():
        store.append(np.array([1], np.uint64), np.zeros((1, 3), np.float32))
    (store.folder / "link").symlink_to(home.parent / "elsewhere")
    old = home / "prepared" / "fedcba9876543210"  # of an earlier version, which wrote no mark
    old.mkdir()
    (old / "about.json").write_text(json.dumps({"what": "audio headers", "files": "/somewhere"}))
    (old / "index.bin").touch()
    assert {one.what.partition(",")[0] for one in list_cached()[0]} == {"folder", "image", "audio headers"}
    done = typed("data", "clean", "all")
    assert done.code == 0, done.err
    for name in ("photos", "dinner", "mnist", "linked", "about"):
        assert f"{name}: nothing in it says" in done.out
    after = {path: text for path, text in contents(home).items() if not Path(path).name.endswith(".lock")}
    assert after == {path: text for path, text in before.items() if not path.endswith(".lock")}
    assert (home / "data" / "notes.lock").read_text() == "mine"
    assert contents(home.parent / "elsewhere") == linked
    assert not list_cached()[0] and not old.exists()


def test_a_name_that_is_not_ours_is_not_removed(home: Path, typed) -> None:
    done = typed("data", "clean", "photos")
    assert done.code == 1 and (home / "data" / "photos" / "mine.txt").exists()
    assert "not made by sightsound" in typed("data", "clean").out
