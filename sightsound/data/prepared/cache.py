"""The cache of preprocessed data and fetched data sets: where it is, what takes the space, and how to free it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sightsound.downloads import cache_folder

if TYPE_CHECKING:
    from sightsound.data.table import Table


ABOUT, MARK = "about.json", "sightsound"
PLACES = ("prepared", "data", "fetched")
SOURCES_FETCHED = ("mnist", "fsdd", "speech-commands")  # folders to which earlier versions fetched, without a mark


def prepared_folder(table: Table, name: str) -> Path:
    """Returns the cache folder of the files below the table's folder, for the reading called `name`."""
    known = f"{table.root.resolve()}|{name}"
    return cache_folder() / "prepared" / hashlib.sha256(known.encode()).hexdigest()[:16]


def mark(folder: Path, about: Mapping[str, object]) -> None:
    """Marks a folder of the cache as ours, and describes its content for people who look for disk space."""
    (folder / ABOUT).write_text(json.dumps({**about, MARK: "made by sightsound; may be removed"}, indent=1))


@dataclass(frozen=True)
class CachedData:
    """An entry of the cache: its folder, its description, and its bytes."""

    folder: Path
    what: str
    size: int


def list_cached() -> tuple[list[CachedData], list[Path]]:
    """Lists the entries of the cache, the largest first; and folders in it that are not ours, and are not removed."""
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
    """Describes the content of a folder; None where it is not known to be ours."""
    try:
        about = json.loads((folder / ABOUT).read_text())
    except (OSError, ValueError):
        about = None
    if isinstance(about, dict) and isinstance(about.get("what"), str):
        marked = MARK in about
        # caches of earlier versions have no mark, but files that only this package writes
        if marked or (folder / "index.bin").is_file() or (folder / "table.csv").is_file():
            return ", ".join(str(value) for name, value in about.items() if name != MARK)
    if folder.parent.name == "fetched" and folder.name in SOURCES_FETCHED and any(folder.glob("*.gz")):
        return f"fetched {folder.name}"
    return None


def _size(path: Path) -> int:
    return 0 if path.is_symlink() or not path.is_file() else path.stat().st_size


def remove(one: CachedData) -> None:
    """Removes an entry; targets of links are not removed."""
    shutil.rmtree(one.folder, ignore_errors=True)
    lock = one.folder.with_suffix(".lock")
    if lock.is_file() and not lock.is_symlink():
        lock.unlink()
