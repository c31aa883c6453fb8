"""One phase of a translator's training; a complete phase is loaded."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file
from torch import Tensor, nn

from sightsound.bundle.files import save_tensors
from sightsound.data.dataset import Rows, loader
from sightsound.errors import RunError
from sightsound.hardware import reseed
from sightsound.training.loop import Plan, run_loop
from sightsound.training.objective import Objective, Optimization
from sightsound.translation.config import TranslatorConfig
from sightsound.translation.network import TranslatorNetwork
from sightsound.types import Batch

WARM_UP, WEIGHT_DECAY = 0.05, 0.01
EPOCH_STEPS = 100  # at least so many steps; fewer rows are repeated


class TrainingPhase(NamedTuple):
    """A phase: what is trained, on which rows, by which loss.

    Attributes:
        name: the name of its checkpoints and logs.
        trained: the parameters that are trained.
        loss: the loss of a batch, a scalar.
        rows: the training rows.
        batch_size: rows of a step.
        steps: the least number of steps; the last pass over the rows is completed.
    """

    name: str
    trained: list[nn.Parameter]
    loss: Callable[[Batch], Tensor]
    rows: Rows
    batch_size: int
    steps: int


def fit_phase(network: TranslatorNetwork, lesson: TrainingPhase, config: TranslatorConfig, run: Path) -> None:
    """Trains in place, with a fixed number of steps; a phase that is complete in the run folder is loaded."""
    done = run / "checkpoints" / f"{lesson.name}.safetensors"
    if not done.exists():
        # with few rows several passes make an epoch, since each epoch is logged and may be checkpointed
        passes = math.ceil(min(EPOCH_STEPS, lesson.steps) * lesson.batch_size / len(lesson.rows))
        rows = Rows(lesson.rows.stores, None, lesson.rows.rows.repeat(passes))
        batches = loader(rows, lesson.batch_size, config.seed)
        epochs = math.ceil(lesson.steps / len(batches))
        task = Task(network, lesson, epochs * len(batches), config)
        plan = Plan(lesson.name, run, epochs, config.accelerator, config.precision)
        run_loop(task, batches, None, plan)
        save_tensors(network.state_dict(), done)
    try:
        network.load_state_dict(load_file(done))
    except RuntimeError as error:
        raise RunError(f"{done}: of another version of sightsound; begin anew with another --out.") from error


class Task(Objective):
    """A phase as an objective of the training loop.

    Args:
        network: the whole network, of which parts are trained.
        lesson: the phase.
        steps: the total number of steps, for the schedule.
        config: the configuration, with the peak learning rate and the seed.
    """

    def __init__(self, network: TranslatorNetwork, lesson: TrainingPhase, steps: int, config: TranslatorConfig) -> None:
        trained = [{"params": lesson.trained, "lr": config.learning_rate}]
        super().__init__(network, Optimization(trained, steps, WARM_UP, WEIGHT_DECAY))
        self.lesson, self.config = lesson, config

    def begin_step(self, epoch: int, step: int) -> None:
        """Seeds each epoch's draws by seed and epoch alone, so that a resumed run repeats them."""
        if step == 0:
            reseed(self.config.seed * 1_000_003 + epoch)

    def loss(self, batch: Batch) -> Tensor:
        """Batch -> scalar loss."""
        return self.lesson.loss(batch)
