"""One part of a translator's training, run with Lightning: progress, logs, checkpoints, going on after a stop."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from safetensors.torch import load_file
from torch import Tensor, nn

from sightsound.bundle_files import save_tensors
from sightsound.data.batches import Rows, loader
from sightsound.errors import RunError
from sightsound.training.checkpoints import Checkpoints, latest
from sightsound.training.fit import Progress, trainer_of
from sightsound.training.module import adamw, check_losses, one_cycle
from sightsound.translator import TranslatorNetwork
from sightsound.translator_config import TranslatorConfig
from sightsound.types import Batch

WARM_UP, WEIGHT_DECAY = 0.05, 0.01
EPOCH_STEPS = 100  # at least; fewer rows are gone through several times


class Lesson(NamedTuple):
    """What is learnt.

    Attributes:
        name: of its checkpoints and logs.
        trained: parameters that move.
        loss: of a batch, a scalar.
        rows: to learn from.
        batch_size: rows of a step.
        steps: at least so many; the last pass over the rows is finished.
    """

    name: str
    trained: list[nn.Parameter]
    loss: Callable[[Batch], Tensor]
    rows: Rows
    batch_size: int
    steps: int


def fit_lesson(network: TranslatorNetwork, lesson: Lesson, config: TranslatorConfig, run: Path) -> None:
    """Trains in place, with a fixed number of steps; what is complete in the run folder is loaded."""
    done = run / "checkpoints" / f"{lesson.name}.safetensors"
    if not done.exists():
        # a checkpoint after every epoch is worth its time only if that is some steps long
        passes = math.ceil(min(EPOCH_STEPS, lesson.steps) * lesson.batch_size / len(lesson.rows))
        rows = Rows(lesson.rows.stores, None, lesson.rows.rows.repeat(passes))
        batches = loader(rows, lesson.batch_size, config.seed)
        epochs = math.ceil(lesson.steps / len(batches))
        task = Task(network.train(), lesson, epochs * len(batches), config)
        folder = run / "checkpoints" / lesson.name
        callbacks = [Checkpoints(folder), Progress(lesson.name, "loss")]
        trainer = trainer_of(config.reading(), epochs, callbacks, run, lesson.name)
        try:
            trainer.fit(task, batches, ckpt_path=latest(folder), weights_only=True)
        except SystemExit as error:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from error
        network.cpu()
        save_tensors(network.state_dict(), done)
    try:
        network.load_state_dict(load_file(done))
    except RuntimeError as error:
        raise RunError(f"{done}: of another version of sightsound; begin anew with another --out.") from error


class Task(LightningModule):
    """A lesson as Lightning sees it.

    Args:
        network: the whole, whose parts are trained.
        lesson: which.
        steps: in all, for the schedule.
        config: with the peak of the learning rate, and the seed of what is drawn.
    """

    def __init__(self, network: TranslatorNetwork, lesson: Lesson, steps: int, config: TranslatorConfig) -> None:
        super().__init__()
        self.network, self.lesson, self.steps, self.config = network, lesson, steps, config
        self.losses: list[Tensor] = []

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """What an epoch draws depends on seed and epoch alone, so that a resumed run repeats it."""
        if index == 0:
            torch.manual_seed(self.config.seed * 1_000_003 + self.current_epoch)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Batch -> scalar loss."""
        loss = self.lesson.loss(batch)
        self.losses.append(loss.detach())
        return loss

    def on_train_batch_end(self, *_: Any) -> None:
        """The mean loss of the epoch, after its last batch."""
        if self.trainer.is_last_batch:
            check_losses(self.losses, self.current_epoch, self.config.learning_rate)
            self.log("loss", torch.stack(self.losses).mean())
            self.losses = []

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule, stepped every batch."""
        optimizer = adamw(self, self.lesson.trained, WEIGHT_DECAY)
        return one_cycle(optimizer, [self.config.learning_rate], self.steps, WARM_UP)
