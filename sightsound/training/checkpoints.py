"""Checkpoints of a stage of training: the latest epoch, to go on from, and the best one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from sightsound.errors import RunError

LAST, BEST = "last.ckpt", "best.ckpt"


class Checkpoints(Checkpoint):
    """Keeps the latest epoch as `LAST` and, where epochs are chosen from, the best as `BEST`.

    An epoch is written once, though it be both: serialising it is what takes the time. The best is written first, so
    that `LAST` never speaks of a best epoch that is not there.

    Args:
        folder: of the stage.
        choice: the logged number by which the best epoch is chosen, the highest; None: only `LAST` is kept.
    """

    def __init__(self, folder: Path, choice: str | None = None) -> None:
        self.folder, self.choice = folder, choice
        self.best: float | None = None

    def on_train_epoch_end(self, trainer: Trainer, stage: LightningModule) -> None:
        """Writes the epoch that has ended."""
        value = float(trainer.callback_metrics[self.choice]) if self.choice else None
        if value is None or (self.best is not None and not value > self.best):
            trainer.save_checkpoint(self.folder / LAST)
            return
        self.best = value
        trainer.save_checkpoint(self.folder / BEST)
        beside = self.folder / f"{LAST}.new"
        shutil.copyfile(self.folder / BEST, beside)
        os.replace(beside, self.folder / LAST)

    def state_dict(self) -> dict[str, Any]:
        """The best value so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from it."""
        self.best = state_dict["best"]


def checkpoint(file: Path) -> dict[str, Any]:
    """What a checkpoint holds: tensors and plain types, for a pickle of anything else would run whatever it says.

    Raises:
        RunError: it is damaged, or holds something else.
    """
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
        if isinstance(found, dict) and "state_dict" in found:
            return found
        reason = "no weights are in it"
    except Exception as error:  # the file may hold anything, and the reader raises whatever that leads to
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    raise RunError(
        f"{file}: this is no checkpoint of sightsound, or a damaged one; nothing in it was run ({reason}). Delete its "
        "folder to begin this part of the training anew with --resume, or begin a new run with another --out."
    )


def latest(folder: Path) -> Path | None:
    """The checkpoint to go on from, if there is one. Raises RunError as `checkpoint` does."""
    file = folder / LAST
    if not file.exists():
        return None
    checkpoint(file)
    return file
