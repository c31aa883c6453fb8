"""Turns the name of a data set into its table: fetched on request, built once, cached for the next run."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from filelock import FileLock

from sightsound.data.prepared.cache import ABOUT, mark
from sightsound.data.sources import SOURCES, DataSource, SourceOptions, source
from sightsound.downloads import cache_folder, fetched_path, retrieve
from sightsound.errors import SourceError

TableLike = str | Path | pd.DataFrame  # a file, a folder, rows and columns in memory, or the name of a data set


def with_seed(source: SourceOptions | None, seed: int) -> SourceOptions:
    """Returns the options with which a training of this seed builds a data set known by name."""
    return dataclasses.replace(source or SourceOptions(), seed=seed)


def dataset(name: str, options: SourceOptions | None = None) -> Path:
    """Returns the table of a data set known by name; builds it if these options were not built before.

    Args:
        name: one of `sightsound data list`, or hub:OWNER/NAME.
        options: where its files are, and how it is built.

    Raises:
        SourceError: the name is unknown, its files are missing or damaged, or it cannot be built.
    """
    known, options = source(name), options or SourceOptions()
    if options.root and not Path(options.root).is_dir():
        raise SourceError(f"{options.root}: there is no such folder (--root).")
    folder = built_folder(name, options)
    table = folder / "table.csv"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if table.exists():
                return table
            shutil.rmtree(folder, ignore_errors=True)  # what a killed build left
            folder.mkdir()
            mark(folder, {"what": name, **{k: v for k, v in dataclasses.asdict(options).items() if v is not None}})
            known.build(options, folder)
    except OSError as error:
        if isinstance(error, PermissionError) and table.exists():  # a cache that can be read and not written
            return table
        raise SourceError(
            f"{name}: cannot be built in {folder}: {error}. `sightsound data clean` shows what takes the space; "
            "SIGHTSOUND_CACHE=FOLDER puts it elsewhere."
        ) from error
    return table


def built_folder(name: str, options: SourceOptions) -> Path:
    """Returns the folder in which a data set with these options is built."""
    asked = dataclasses.asdict(options)
    asked["root"] = str(Path(options.root).resolve()) if options.root else None
    digest = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:8]
    return cache_folder() / "data" / f"{name.replace('/', '_').replace(':', '_')}-{digest}"


def fetch(name: str, mirror: str | None, say: Callable[[str], object]) -> None:
    """Downloads the files of a data set, checks them and unpacks archives; files that exist are not downloaded again.

    Args:
        name: the name of the data set.
        mirror: a folder, or the address of one, that has the files under the same names, in place of the original one.
        say: called with each line for the user.

    Raises:
        SourceError: there is nothing to fetch, or no network, a file is damaged, or an archive cannot be unpacked.
    """
    known: DataSource = source(name)
    for part in known.parts:
        fetch(part, mirror, say)
    if not known.downloads and not known.parts:
        raise SourceError(f"{name}: there is nothing to fetch ({known.about}).")
    for download in known.downloads:
        file = retrieve(download, fetched_path(name, download).parent, mirror)
        if not (file.parent / ABOUT).exists():
            mark(file.parent, {"what": f"fetched {name}"})
        if file.name.endswith(".tar.gz"):
            _unpack(file)
        say(f"{file}: {download.size / 1e6:.1f} MB, as it should be")


def _unpack(archive: Path) -> None:
    """Unpacks beside the archive, once; refuses paths outside the folder."""
    done = archive.with_suffix(".unpacked")
    if done.exists():
        return
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(archive.parent, filter="data")
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceError(f"{archive}: cannot be unpacked: {error}. Delete it and fetch it again.") from error
    done.touch()


def table_for(table: TableLike, source: SourceOptions | None) -> TableLike:
    """Returns the table of a name, Python rows and columns as a DataFrame, and anything else unchanged."""
    if isinstance(table, list | dict):
        return pd.DataFrame(table)
    if isinstance(table, str) and not Path(table).exists() and (table in SOURCES or table.startswith("hub:")):
        return dataset(table, source)
    return table
