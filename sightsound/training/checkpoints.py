"""Checkpoints of a phase of training: the latest epoch, to go on from, and the best one."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sightsound.errors import RunError

LAST, BEST = "last.ckpt", "best.ckpt"


def save(folder: Path, state: dict[str, Any], best: bool) -> None:
    """Saves an epoch as `LAST` and, where it is the best so far, as `BEST`.

    It is serialised once for both, since that takes the time. The best is written first, so that `LAST` never refers
    to a best epoch that does not exist.

    Args:
        folder: the folder of the phase.
        state: tensors and plain types.
        best: whether this epoch is the best.
    """
    folder.mkdir(parents=True, exist_ok=True)
    beside, name = folder / "new.ckpt", BEST if best else LAST
    written = io.BytesIO()  # since torch's own error for a full disk is unreadable
    torch.save(state, written)
    try:
        beside.write_bytes(written.getbuffer())
        os.replace(beside, folder / name)
        if best:
            shutil.copyfile(folder / BEST, beside)
            os.replace(beside, folder / LAST)
    finally:
        beside.unlink(missing_ok=True)  # a partial file would keep a full disk full


def read(file: Path) -> dict[str, Any]:
    """Reads a checkpoint: tensors and plain types only, since a pickle of anything else can run code.

    Raises:
        RunError: it is damaged, or holds something else.
    """
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        if isinstance(found, dict) and "network" in found:
            return found
        reason = "no weights are in it"
    except FileNotFoundError:
        reason = "it is not there"
    except Exception as error:  # the file may hold anything, and the reader may raise anything
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise RunError(
        f"{file}: this is no checkpoint of sightsound, or a damaged one; nothing in it was run ({reason}). Delete its "
        "folder to begin this part of the training anew with --resume, or begin a new run with another --out."
    )


@contextmanager
def of_this_version(file: Path) -> Iterator[None]:
    """A context in which a checkpoint's content is restored. Raises RunError where it does not fit."""
    try:
        yield
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(
            f"{file}: of another version of sightsound, or of another training; begin anew with another --out."
        ) from error


def latest(folder: Path) -> dict[str, Any] | None:
    """Returns the state to go on from, if there is one. Raises RunError as `read` does."""
    return read(folder / LAST) if (folder / LAST).exists() else None
