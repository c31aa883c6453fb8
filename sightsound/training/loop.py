"""The training loop: epochs of steps, each epoch measured and logged; it resumes from its checkpoints.

An `Objective` defines what is minimised and measured; a `Plan` how long, where and in which precision.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader
from tqdm import tqdm

from sightsound.data.dataset import BatchOrder
from sightsound.errors import needs_extra
from sightsound.hardware import PRECISIONS, device_of
from sightsound.progress import notice, progress_bar
from sightsound.training.checkpoints import BEST, LAST, latest, of_this_version, read, save
from sightsound.training.objective import Objective, check_losses
from sightsound.types import Batch

LOSS = "train_loss"
SECONDS_BETWEEN_CHECKPOINTS = 1.0  # written after each of many short epochs, they would take much of the time
LOG = "metrics.csv"  # in the folder of a phase's logs


class Plan(NamedTuple):
    """How long, where and in which precision to train.

    Attributes:
        name: the name of the phase, for its checkpoints, its logs and the progress bar.
        run: the run folder, for `checkpoints/NAME/` and `logs/NAME/`.
        epochs: the largest number of epochs.
        accelerator, precision: see `hardware`.
        displayed: the name of the number beside the progress bar.
        choice: the name of the number that is highest in the best epoch; None: only the latest epoch is saved.
        score, patience: training ends once this number has not risen for so many epochs; None: no early stop.
    """

    name: str
    run: Path
    epochs: int
    accelerator: str
    precision: str
    displayed: str = LOSS
    choice: str | None = None
    score: str | None = None
    patience: int = 0

    @property
    def checkpoints(self) -> Path:
        """Returns the folder of the checkpoints."""
        return self.run / "checkpoints" / self.name

    @property
    def logs(self) -> Path:
        """Returns the folder of the logs."""
        return self.run / "logs" / self.name


class Watcher:
    """Is called while a loop runs."""

    def after_step(self, batch: Batch, optimizer: torch.optim.Optimizer) -> None:
        """Is called after each step."""

    def after_epoch(self, network: nn.Module, numbers: Mapping[str, float]) -> bool:
        """Is called after each epoch's measurement; returns whether the training ends with it."""
        return False


class Progress:
    """How far a training is, and what a resumed one must know of its epochs."""

    def __init__(self) -> None:
        self.epochs = 0  # number of complete epochs
        self.history: list[dict[str, float]] = []  # the numbers of each epoch
        self.best: float | None = None  # best value of the number that chooses the epoch
        self.highest, self.waited = -math.inf, 0  # the highest score, and epochs since
        self.ended = False

    def add(self, plan: Plan, numbers: dict[str, float]) -> bool:
        """Counts an epoch; returns whether it is the best so far."""
        self.epochs += 1
        self.history.append(numbers)
        if plan.score:
            self.waited = 0 if numbers[plan.score] > self.highest else self.waited + 1
            self.highest = max(self.highest, numbers[plan.score])
        self.ended = self.epochs >= plan.epochs or (plan.score is not None and self.waited >= plan.patience)
        better = plan.choice is not None and (self.best is None or numbers[plan.choice] > self.best)
        if plan.choice and better:
            self.best = numbers[plan.choice]
        return better


def run_loop(
    objective: Objective,
    train: DataLoader[Batch],
    val: DataLoader[Batch] | None,
    plan: Plan,
    watchers: Sequence[Watcher] = (),
) -> None:
    """Trains the objective's network in place, to the last epoch; goes on from the latest checkpoint if there is one.

    Args:
        objective: what is minimised.
        train: training batches, in an order that the epoch decides.
        val: batches to measure on after each epoch.
        plan: how long, where and in which precision.
        watchers: are called after steps and epochs.

    Raises:
        ConfigError: no such accelerator here.
        RunError: the checkpoint is damaged.
        TrainingError: the loss is no longer finite.
    """
    loop, steps = Loop(objective, plan, watchers), len(train)
    loop.resume()
    done = loop.done
    title, total = f"training {plan.name}", plan.epochs * steps
    with progress_bar(title, total, "step", done.epochs * steps, keep=True) as bar, Log(plan.logs, done.epochs) as log:
        try:
            while not done.ended:
                numbers = loop.train(train, bar) | loop.measure(val or ())
                better = done.add(plan, numbers)
                stop = [watcher.after_epoch(objective.network, numbers) for watcher in watchers]
                done.ended |= any(stop)
                bar.set_postfix_str(f"epoch {done.epochs}, {plan.displayed} {numbers[plan.displayed]:.4f}")
                log.write(done.history)
                loop.keep(better)
        finally:
            objective.network.cpu()


class Loop:
    """The parts of one training, and what is done with them."""

    def __init__(self, objective: Objective, plan: Plan, watchers: Sequence[Watcher]) -> None:
        self.objective, self.plan, self.watchers = objective, plan, watchers
        self.device, self.dtype = device_of(plan.accelerator), PRECISIONS[plan.precision]
        half = self.dtype is torch.float16
        self.network = objective.network.to(self.device).train()
        self.optimizer = objective.optimization.optimizer(not half and self.device.type in ("cpu", "cuda"))
        self.schedule = objective.optimization.schedule(self.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=half)
        self.done = Progress()
        self.best: dict[str, Any] | None = None  # of an epoch that no checkpoint holds yet
        self.saved = time.perf_counter()

    def resume(self) -> None:
        """Goes on from the latest checkpoint, if there is one."""
        if (found := latest(self.plan.checkpoints)) is None:
            return
        with of_this_version(self.plan.checkpoints / LAST):
            self.network.load_state_dict(found["network"])
            self.optimizer.load_state_dict(found["optimizer"])
            self.schedule.load_state_dict(found["schedule"])
            self.scaler.load_state_dict(found["scaler"])
            self.objective.restore(found["objective"])
            self.done.__dict__.update(found["progress"])
        if self.done.best is not None:
            read(self.plan.checkpoints / BEST)  # needed at the end of this training: damage is found now, not then

    def keep(self, better: bool) -> None:
        """Keeps the weights of an epoch that is the best so far; writes checkpoints if the last ones are old."""
        due = self.done.ended or time.perf_counter() - self.saved >= SECONDS_BETWEEN_CHECKPOINTS
        if better:
            weights = self.network.state_dict()
            if not due:  # the next steps change the network's own
                weights = {name: value.to("cpu", copy=True) for name, value in weights.items()}
            self.best = {"network": weights, "epochs": self.done.epochs}
        if due:
            self.save()

    def save(self) -> None:
        """Writes the checkpoints; the best epoch first, so that the latest never refers to one that does not exist."""
        if self.best:
            save(self.plan.checkpoints / BEST, self.best)
            self.best = None
        state = {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "objective": self.objective.state(),
            "progress": self.done.__dict__,
        }
        save(self.plan.checkpoints / LAST, state)
        self.saved = time.perf_counter()

    @torch.enable_grad()
    def train(self, batches: DataLoader[Batch], bar: tqdm[Any]) -> dict[str, float]:
        """Runs an epoch; returns its number, mean loss over rows, seconds, and the learning rate at its end."""
        epoch, begun = self.done.epochs, time.perf_counter()
        self.objective.begin_epoch(epoch)
        if isinstance(batches.sampler, BatchOrder):
            batches.sampler.set_epoch(epoch)
        losses, rows = [], []
        for step, batch in enumerate(batches):
            self.objective.begin_step(epoch, step)
            batch = batch.to(self.device)
            with self.mixed_precision():
                loss = self.objective.loss(batch)
            self.optimizer.zero_grad()
            self.scaler.scale(loss).backward()
            self.objective.after_backward()
            scale = self.scaler.get_scale()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            if self.scaler.get_scale() >= scale:  # else the step was skipped, since a gradient overflowed
                self.schedule.step()
            losses.append(loss.detach().float())
            rows.append(len(next(iter(batch.present.values()))))
            for watcher in self.watchers:
                watcher.after_step(batch, self.optimizer)
            bar.update()
        seconds = time.perf_counter() - begun
        check_losses(losses, epoch, self.objective.optimization.peak)
        weights = torch.tensor(rows, device=self.device)
        mean = float((torch.stack(losses) * weights).sum() / weights.sum())
        return {"epoch": epoch, "lr": float(self.schedule.get_last_lr()[0]), "train_seconds": seconds, LOSS: mean}

    def measure(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Computes the numbers of the epoch that has been trained."""
        self.network.eval()
        with torch.inference_mode(), self.mixed_precision():
            for batch in batches:
                self.objective.validate(batch.to(self.device))
        self.network.train()
        return self.objective.end_epoch(self.done.epochs)

    def mixed_precision(self) -> contextlib.AbstractContextManager[object]:
        """A context of mixed precision, where it is configured."""
        return torch.autocast(self.device.type, dtype=self.dtype) if self.dtype else contextlib.nullcontext()


class Log:
    """Writes the numbers of all epochs as `LOG` in a folder, and for TensorBoard with the extra `tensorboard`.

    Args:
        folder: the folder of both.
        epochs: the number of epochs already logged.
    """

    def __init__(self, folder: Path, epochs: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file, writer = folder / LOG, tensorboard_writer()
        self.writer = writer(folder, purge_step=epochs) if writer else None

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self.writer:
            self.writer.close()

    def write(self, history: list[dict[str, float]]) -> None:
        """Rewrites the whole CSV file, beside its place, so that a resumed training has each epoch once."""
        beside = self.file.with_suffix(".new")
        pd.DataFrame(history).to_csv(beside, index=False)
        os.replace(beside, self.file)
        if self.writer:
            for name, value in history[-1].items():
                self.writer.add_scalar(name, value, int(history[-1]["epoch"]))


@functools.cache
def tensorboard_writer() -> Any:
    """Returns the class that writes TensorBoard's logs; None, with one warning, without the extra `tensorboard`."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except Exception as error:  # a damaged library raises anything
        notice(f"No TensorBoard log is written; {LOG} holds the same numbers. It {needs_extra('tensorboard', error)}")
        return None
    return SummaryWriter
