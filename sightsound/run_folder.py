"""The run folder: which run it belongs to, which process holds its lock, and whether it can be resumed."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from filelock import FileLock, Timeout
from safetensors import SafetensorError

from sightsound.data.dataset import Rows
from sightsound.data.table import Table
from sightsound.errors import RunError

BUNDLE = "bundle"
REQUEST = "request.json"
NOTES = "notes.json"  # what was said of the table and of the choices, for the report
LOCK = ".lock"  # held by the process at work; the system releases it when that process ends in any way
ENOUGH_BYTES = 200_000_000  # free space below which no run begins


@contextmanager
def open_run(run: Path, request: dict[str, Any], resume: bool) -> Iterator[None]:
    """Creates the run folder, or checks that it is the one to resume, and locks it within the block.

    A folder that it created and in which nothing was written is removed again where the block raises.

    Args:
        run: a new folder; or, with `resume`, the folder of a run with the same request.
        request: as `request_of` returns it.
        resume: whether to go on with the run in it.

    Raises:
        RunError: it cannot be written, belongs to another run, or is locked by another process.
    """
    if not (run / LOCK).exists():
        _check(run, request, resume)  # before a lock is written into a folder that is not ours
    created = [folder for folder in (run, *run.parents) if not folder.exists()]
    try:
        run.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(run).free
    except OSError as error:
        raise RunError(f"{run}: the run folder cannot be written: {error}. Give another --out.") from error
    with alone_in(run), _removed_if_unused(created):
        if free < ENOUGH_BYTES:
            raise RunError(f"{run}: only {free / 1e6:.0f} MB are free there; a run needs {ENOUGH_BYTES / 1e6:.0f} MB.")
        _check(run, request, resume)
        yield


@contextmanager
def _removed_if_unused(created: list[Path]) -> Iterator[None]:
    """Removes the created folders, the innermost first, where the block raises and only the lock is in that one."""
    try:
        yield
    except BaseException:
        with suppress(OSError):  # it is not empty, or the system does not remove a file that is open
            if created and all(path.name == LOCK for path in created[0].iterdir()):
                (created[0] / LOCK).unlink()
                for folder in created:
                    folder.rmdir()
        raise


@contextmanager
def alone_in(run: Path) -> Iterator[None]:
    """Locks a folder within the block. Raises RunError if another process holds it, or if it cannot be written."""
    lock = FileLock(run / LOCK)
    try:
        lock.acquire(timeout=0)
        mine = {"process": os.getpid(), "machine": socket.gethostname(), "since": f"{datetime.now():%Y-%m-%d %H:%M:%S}"}
        (run / LOCK).write_text(json.dumps(mine), encoding="utf-8")
    except Timeout as error:
        raise RunError(
            f"{run}: {_holder(run)} is at work in this folder. Wait until it has ended, or give another --out."
        ) from error
    except OSError as error:
        raise RunError(f"{run}: the run folder cannot be written: {error}. Give another --out.") from error
    try:
        yield
    finally:
        lock.release()


def _holder(run: Path) -> str:
    """Says in words which process holds the lock."""
    try:
        known = json.loads((run / LOCK).read_text(encoding="utf-8"))
        return f"process {known['process']} on {known['machine']}, since {known['since']},"
    except (OSError, ValueError, KeyError, TypeError):  # it is just being written, or cannot be read
        return "another process"


@contextmanager
def write_errors(run: Path) -> Iterator[None]:
    """Turns errors of disk and permission within the block into a RunError."""
    try:
        yield
    except BrokenPipeError:  # the reader of the output has left: nothing is wrong with the folder
        raise
    except (OSError, SafetensorError) as error:
        raise RunError(f"{run}: cannot be written: {error}. Mend that, then go on with --resume.") from error


def claim(run: Path, config: Any, request: dict[str, Any]) -> None:
    """Writes `config.yaml` (of a dataclass) and `request.json`; from now on the folder belongs to this run."""
    write_whole(run / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False))
    ask(run, request)


def ask(run: Path, request: dict[str, Any]) -> None:
    """Writes `request.json`."""
    write_whole(run / REQUEST, json.dumps(request, indent=1))


def read_notes(run: Path) -> list[str]:
    """Reads the notes of a run; none of an earlier version's, which did not write them. Raises RunError."""
    if not (run / NOTES).exists():
        return []
    try:
        return [str(note) for note in json.loads((run / NOTES).read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise RunError(f"{run / NOTES}: damaged ({error}). The report has them; it can be deleted.") from error


def write_whole(path: Path, text: str) -> None:
    """Writes a file beside its place, then renames it: a full disk or a kill leaves it whole, or as it was."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def plain(config: Any) -> dict[str, Any]:
    """Converts a dataclass of options to dicts, lists and scalars."""
    values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(config)))
    return values


def request_of(table: Table, config: Any) -> dict[str, Any]:
    """Describes a run by the table's content and a dataclass of options; two calls with equal requests are one run."""
    defaults = plain(type(config)())  # of options that a run begun by an earlier version did not have
    return {"table": table.name, "content": table.digest(), "config": plain(config), "defaults": defaults}


def content_of(rows: Rows) -> dict[str, str]:
    """Returns modality -> SHA-256 over the content of its files, which copying or touching them does not change."""
    return {m: hashlib.sha256(store.checksums().tobytes()).hexdigest() for m, store in rows.stores.items()}


def with_files(run: Path, request: dict[str, Any], files: dict[str, str]) -> dict[str, Any]:
    """Adds the digests of the files to the request.

    Args:
        run: the folder, which may be one to resume.
        request: as `request_of` returns it.
        files: as `content_of` returns it.

    Raises:
        RunError: the run began with files of other content.
    """
    if (run / REQUEST).exists():
        before = _known(run).get("files", files)  # earlier versions did not store it
        changed = [m for m in files if before.get(m) != files[m]]
        if changed:
            raise RunError(
                f"{run}: the {' and '.join(changed)} files hold something else than when this run was begun. Put the "
                "earlier files back, or begin a new run with another --out."
            )
    return {**request, "files": files}


def _known(run: Path) -> dict[str, Any]:
    """Reads the request of the run in a folder. Raises RunError if it is damaged."""
    try:
        known = json.loads((run / REQUEST).read_text(encoding="utf-8"))
        if not isinstance(known, dict) or not isinstance(known.get("config"), dict) or "content" not in known:
            raise ValueError("it does not say what was asked for")
        if not isinstance(known.get("files", {}), dict):
            raise ValueError("it does not say what the files held")
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(
            f"{run / REQUEST}: damaged ({error}), so it cannot be told what this run was. Begin a new one with another "
            "--out."
        ) from error
    return known


def _check(run: Path, request: dict[str, Any], resume: bool) -> None:
    """Raises RunError for a folder of another run, or with other content."""
    if resume and (run / REQUEST).exists():
        before = _known(run)
        asked = {**request.get("defaults", {}), **before["config"]}
        names = {**asked, **request["config"]}
        differing = [name for name in names if asked.get(name) != request["config"].get(name)]
        differing += ["the table's content"] if before["content"] != request["content"] else []
        if differing:
            raise RunError(
                f"{run} is a run with other settings ({', '.join(differing)} differ). Repeat the command it was "
                f"begun with, or give another --out. Its settings: {run / REQUEST}"
            )
    elif not is_free(run):
        how = "Give another --out." if resume else "Give another --out, or --resume to go on with the run in it."
        raise RunError(f"{run} is there already{', and is not the folder of a run' if resume else ''}. {how}")


def is_free(run: Path) -> bool:
    """Returns whether a folder does not exist, or holds only the files of a run that stopped before its training."""
    return not run.exists() or (run.is_dir() and all(_is_left_over(path) for path in run.iterdir()))


def _is_left_over(path: Path) -> bool:
    return path.suffix == ".partial" or path.name in (LOCK, "rejected.csv", "splits.csv", "encoders.csv", "config.yaml")


def folder_for(table: str | Path | pd.DataFrame, out: str | Path | None) -> Path:
    """Returns `out` if given; else runs/NAME, or the first of runs/NAME-2, runs/NAME-3, ... that does not exist."""
    if out:
        return Path(out)
    name = "dataframe" if not isinstance(table, str | Path) else Path(table).stem.replace(":", "_") or "run"
    number, folder = 1, Path("runs") / name
    while folder.exists():
        number += 1
        folder = Path("runs") / f"{name}-{number}"
    return folder
