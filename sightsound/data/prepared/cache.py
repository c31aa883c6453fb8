"""Where prepared data and fetched data sets are kept between runs, what takes the space, and how to free it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from sightsound.data.table import Table


ABOUT, MARK = "about.json", "sightsound"
PLACES = ("prepared", "data", "fetched")
SOURCES_FETCHED = ("mnist", "fsdd", "speech-commands")  # folders that earlier versions fetched to, without a mark


def cache_folder() -> Path:
    """The folder in SIGHTSOUND_CACHE, else the system's place for such things (on Linux ~/.cache/sightsound)."""
    named = os.environ.get("SIGHTSOUND_CACHE")
    return Path(named) if named else user_cache_path("sightsound")


def prepared_folder(table: Table, name: str) -> Path:
    """Where the files below the table's folder are kept, read in the way called `name`."""
    known = f"{table.root.resolve()}|{name}"
    return cache_folder() / "prepared" / hashlib.sha256(known.encode()).hexdigest()[:16]


def mark(folder: Path, about: Mapping[str, object]) -> None:
    """Writes into a folder of the cache that it is ours, and what it is for people who look what takes the space."""
    (folder / ABOUT).write_text(json.dumps({**about, MARK: "made by sightsound; may be removed"}, indent=1))


@dataclass(frozen=True)
class CachedData:
    """Something of ours that takes space: its folder, what it is in words, and its bytes."""

    folder: Path
    what: str
    size: int


def list_cached() -> tuple[list[CachedData], list[Path]]:
    """Everything of ours in the cache, the largest first; and folders in its places that are not ours, and stay."""
    found, others = [], []
    for part in PLACES:
        place = cache_folder() / part
        if place.is_symlink() or not place.is_dir():
            continue
        for folder in sorted(path for path in place.iterdir() if path.is_dir()):
            what = None if folder.is_symlink() else _ours(folder)
            if what is None:
                others.append(folder)
            else:
                found.append(CachedData(folder, what, sum(_size(path) for path in folder.rglob("*"))))
    return sorted(found, key=lambda one: -one.size), others


def _ours(folder: Path) -> str | None:
    """What a folder holds, in words; None where nothing says that we made it."""
    try:
        about = json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):
        about = None
    if isinstance(about, dict) and isinstance(about.get("what"), str):
        marked = MARK in about
        # caches of earlier versions have no mark, but what only we write
        if marked or (folder / "index.bin").is_file() or (folder / "table.csv").is_file():
            return ", ".join(str(value) for name, value in about.items() if name != MARK)
    if folder.parent.name == "fetched" and folder.name in SOURCES_FETCHED and any(folder.glob("*.gz")):
        return f"fetched {folder.name}"
    return None


def _size(path: Path) -> int:
    return 0 if path.is_symlink() or not path.is_file() else path.stat().st_size


def remove(one: CachedData) -> None:
    """Frees its space; what links lead to stays."""
    shutil.rmtree(one.folder, ignore_errors=True)
    lock = one.folder.with_suffix(".lock")
    if lock.is_file() and not lock.is_symlink():
        lock.unlink()
