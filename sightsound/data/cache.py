"""Where prepared data and fetched data sets are kept between runs, what takes the space, and how to free it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from platformdirs import user_cache_path

if TYPE_CHECKING:
    from sightsound.data.table import Table


def cache_folder() -> Path:
    """The folder in SIGHTSOUND_CACHE, else the system's place for such things (on Linux ~/.cache/sightsound)."""
    named = os.environ.get("SIGHTSOUND_CACHE")
    return Path(named) if named else user_cache_path("sightsound")


def prepared_folder(table: Table, name: str) -> Path:
    """Where the files below the table's folder are kept, read in the way called `name`."""
    known = f"{table.root.resolve()}|{name}"
    return cache_folder() / "prepared" / hashlib.sha256(known.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Kept:
    """Something that takes space: its folder, what it is in words, and its bytes."""

    folder: Path
    what: str
    size: int


def kept() -> list[Kept]:
    """Everything in the cache, the largest first."""
    found = []
    for folder in [path for part in ("prepared", "data", "fetched") for path in (cache_folder() / part).glob("*/")]:
        try:
            about = json.loads((folder / "about.json").read_text())
            what = ", ".join(str(value) for value in about.values())
        except (OSError, ValueError):
            what = f"{folder.parent.name} {folder.name}"
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        found.append(Kept(folder, what, size))
    return sorted(found, key=lambda one: -one.size)


def remove(one: Kept) -> None:
    """Frees its space."""
    shutil.rmtree(one.folder, ignore_errors=True)
    one.folder.with_suffix(".lock").unlink(missing_ok=True)
