"""Checkpoints of a phase of training: the latest epoch, to go on from, and the weights of the best one."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from sightsound.errors import RunError

LAST, BEST = "last.ckpt", "best.ckpt"


def save(file: Path, state: dict[str, Any]) -> None:
    """Saves tensors and plain types, whole or not at all; its folder is created."""
    file.parent.mkdir(parents=True, exist_ok=True)
    beside = file.with_name("new.ckpt")
    written = io.BytesIO()  # since torch's own error for a full disk is unreadable
    torch.save(state, written)
    try:
        beside.write_bytes(written.getbuffer())
        os.replace(beside, file)
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
