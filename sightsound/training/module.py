"""One stage of training as Lightning sees it: a batch of decoded files in, a loss out; macro F1 of every subset."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torchmetrics.functional.classification import multiclass_f1_score

from sightsound.answers import subsets
from sightsound.errors import TrainingError
from sightsound.losses import RowMeans, judged_rows, losses
from sightsound.missing import Fill
from sightsound.model import ClassifierNetwork
from sightsound.training.augment import Augment
from sightsound.training.balances import Heads
from sightsound.training.hardware import reseed
from sightsound.types import Batch

F1, SCORE, CHOICE = "val_f1", "val_score", "val_choice"  # shown; how good an epoch is; the highest is kept
LARGEST_LOSS = 1e6  # the logarithm of the number of classes is where a training begins
TIE = 1e-4  # weight of the loss in it: of epochs with the same F1 the one that is surer is better


class Optimization(NamedTuple):
    """How the parameters move.

    Attributes:
        trained: in groups {"params": [...], "lr": peak of the one-cycle schedule} (Smith & Topin, 2019).
        steps: in all epochs, for the schedule.
        warm_up: share of the steps until the peak.
        weight_decay: of AdamW (Loshchilov & Hutter, 2019).
    """

    trained: list[dict[str, Any]]
    steps: int
    warm_up: float
    weight_decay: float

    @property
    def peak(self) -> float:
        """The largest learning rate of all groups."""
        return max((float(group["lr"]) for group in self.trained), default=0.0)


class Stage(LightningModule):
    """Trains some parameters of the network on some of the modalities.

    Args:
        network: the whole network; parameters that are not trained must be frozen already.
        shown: the modalities that this stage sees.
        optimization: which parameters move, and how.
        augment: chance changes to the training rows.
        balance: of the losses.
        seed: of what is drawn in each epoch.
        late: whether the latest epoch is kept that is within a standard error of the best, in place of the best: where
            parts learn apart, one's luck on validation rows must not choose for the others. (The rule of Breiman et
            al., 1984, keeps the simplest model within that error.)
    """

    def __init__(
        self,
        network: ClassifierNetwork,
        shown: tuple[str, ...],
        optimization: Optimization,
        augment: Augment,
        balance: Heads,
        seed: int,
        late: bool,
    ) -> None:
        super().__init__()
        self.network = network
        self.shown = shown
        self.optimization = optimization
        self.augment = augment
        self.balance = balance
        self.seed = seed
        self.late = late
        self.best = -math.inf  # score of all epochs
        self.subsets = subsets([m for m in network.modalities if m in shown])
        self.predicted: dict[str, list[int]] = {}  # numbers, since small tensors kept would scatter in memory
        self.target: list[int] = []
        self.losses: list[Tensor] = []  # one a step, and of how many rows
        self.rows: list[int] = []
        self.val_losses = RowMeans()
        self.began = 0.0
        self.fill: Fill | None = None  # imputes absent modalities; a callback sets it anew for each epoch

    def on_train_epoch_start(self) -> None:
        """Starts the clock."""
        self.began = time.perf_counter()

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """What a step draws depends on seed, epoch and step alone: a resumed run repeats it, and no step another's."""
        reseed(((self.seed * 1_000_003 + self.current_epoch) * 1_000_003 + index) % 2**32)

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Batch of decoded files -> scalar loss."""
        batch = self.augment(self.network, batch._replace(present=self._present(batch)))
        loss = self.augment.loss(self.network, batch, self.balance, self.fill)
        self.losses.append(loss.detach())  # one log an epoch: Lightning's own sum takes 2 % of a step
        self.rows.append(len(self._target(batch)))
        return loss

    def on_after_backward(self) -> None:
        """The balance may change the gradients."""
        self.balance.after_backward(self.network)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """With the state of the balance, and the best score."""
        checkpoint["balance"], checkpoint["best"] = self.balance.state(), self.best

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """With the state of the balance, and the best score."""
        self.balance.restore(checkpoint["balance"])
        self.best = checkpoint["best"]

    def on_validation_epoch_start(self) -> None:
        """The mean loss, and the seconds that the epoch's training took, without validation and checkpoints."""
        self.log("train_seconds", time.perf_counter() - self.began)
        check_losses(self.losses, self.current_epoch, self.optimization.peak)
        rows = torch.tensor(self.rows, device=self.losses[0].device)
        self.log("train_loss", (torch.stack(self.losses) * rows).sum() / rows.sum())
        self.losses, self.rows = [], []

    def validation_step(self, batch: Batch, index: int) -> None:
        """Collects what each subset of the modalities says."""
        present = self._present(batch)
        batch = self.network.featurize(batch)._replace(present=present)
        outputs = self.network.fuse_subsets(batch, self.subsets, self.fill)
        self.target += self._target(batch).tolist()
        for subset, output in zip(self.subsets, outputs, strict=True):
            has_all = torch.stack([present[m] for m in subset]).all(0)
            self.predicted.setdefault("+".join(subset), []).extend(
                torch.where(has_all, output.logits.argmax(1), -1).tolist()
            )
        self.val_losses.add(losses(outputs[0], present, self._target(batch)), judged_rows(outputs[0], present))

    def on_validation_epoch_end(self) -> None:
        """Macro F1 of each subset over the rows that have all of it, the mean of these, and what chooses the epoch."""
        target = torch.tensor(self.target)
        scores = []
        for name, parts in self.predicted.items():
            predicted = torch.tensor(parts)
            rows = predicted >= 0
            if rows.any():
                classes = self.network.classes
                scores.append(multiclass_f1_score(predicted[rows], target[rows], num_classes=classes, average="macro"))
                self.log(f"{F1}_{name}", scores[-1])
        f1 = torch.stack(scores).mean()
        self.log(F1, f1)
        val = self.val_losses.means()
        check_losses(
            [torch.tensor(sum(val.values()))],
            self.current_epoch,
            self.optimization.peak,
            "validation",
        )
        self.log("val_loss", sum(val.values()))
        score = float(f1) - TIE * sum(val.values())
        self.best = max(self.best, score)
        self.log(SCORE, score)
        deviation = math.sqrt(float(f1 * (1 - f1).clamp_min(0)) / len(target))  # a perfect F1 may come as 1.0000001
        close = score >= self.best - deviation
        self.log(CHOICE, (float(self.current_epoch) if close else -1.0) if self.late else score)
        self.balance.after_epoch(val)
        self.val_losses = RowMeans()
        self.predicted, self.target = {}, []

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule, stepped every batch."""
        how = self.optimization
        peaks = [group["lr"] for group in how.trained]
        return one_cycle(adamw(self, how.trained, how.weight_decay), peaks, how.steps, how.warm_up)

    def _present(self, batch: Batch) -> dict[str, Tensor]:
        return {m: p if m in self.shown else torch.zeros_like(p) for m, p in batch.present.items()}

    @staticmethod
    def _target(batch: Batch) -> Tensor:
        if batch.target is None:
            raise ValueError("training needs targets")
        return batch.target


def check_losses(losses: list[Tensor], epoch: int, learning_rate: float, kind: str = "training") -> None:
    """Looks once an epoch, since each look waits for the device.

    Args:
        losses: scalars, one a step.
        epoch: from 0.
        learning_rate: of the training, for the message.
        kind: training or validation.

    Raises:
        TrainingError: one of them is no finite number, or larger than any that can still be learnt from.
    """
    wrong = (~(torch.stack([loss.float() for loss in losses]).abs() < LARGEST_LOSS)).nonzero()
    if len(wrong):
        step = int(wrong[0])
        raise TrainingError(
            f"The {kind} loss is {float(losses[step]):g} in epoch {epoch + 1}"
            f"{f', step {step + 1} of it' if len(losses) > 1 else ''}: the training has diverged, and nothing was "
            f"saved. Begin anew with another --out and a lower --learning-rate (it is {learning_rate:g} at its peak; "
            "the default is a good one), and if that does not help, with --precision 32-true."
        )


def adamw(stage: LightningModule, trained: Any, weight_decay: float) -> torch.optim.Optimizer:
    """AdamW in one piece where that can be: several times faster than weight by weight."""
    fused = stage.trainer.precision != "16-mixed" and stage.device.type in ("cpu", "cuda")
    return torch.optim.AdamW(trained, weight_decay=weight_decay, fused=fused)


def one_cycle(optimizer: torch.optim.Optimizer, peaks: list[float], steps: int, warm_up: float) -> dict[str, Any]:
    """What Lightning wants of an optimizer whose learning rates rise to their peaks and fall to zero, step by step."""
    # a warm-up of exactly one step is a division by zero in there
    share = warm_up * (1.01 if math.isclose(warm_up * steps, 1) else 1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, peaks, steps, pct_start=share)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
