"""One phase of a classifier's training: a batch of decoded files in, a loss out; macro F1 of every subset."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightsound.hardware import reseed
from sightsound.inference.metrics import macro_means
from sightsound.inference.subsets import subsets
from sightsound.missing import Impute
from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import RowMeans, losses, rows_with_loss
from sightsound.training.augment import Augment
from sightsound.training.balances import Auxiliary
from sightsound.training.objective import Objective, Optimization, check_losses
from sightsound.types import Batch

F1, SCORE, CHOICE = "val_f1", "val_score", "val_choice"  # displayed; early stopping; selection of the epoch
TIE = 1e-4  # weight of the loss in the selection: of epochs with equal F1 the one with the lower loss is better


class Choice(Enum):
    """How validation rows choose the epoch of a phase."""

    BEST = "the best macro F1"
    # Where parts are trained separately, one part's luck on validation rows must not choose for the others. (The rule
    # of Breiman et al., 1984, chooses the simplest model within that error.)
    LATE = "the latest epoch whose macro F1 is within a standard error of the best"
    # What a single layer learns is reflected in its loss, which varies less on few rows than the number it gets right.
    LOSS = "the lowest loss"


class Stage(Objective):
    """Trains some parameters of the network on some of the modalities.

    Args:
        network: the whole network; parameters that are not trained must be frozen already.
        active: the active modalities of this phase.
        optimization: which parameters are updated, and how.
        augment: augmentation of the training rows; its configuration has the seed of what is drawn.
        balance: the balance, which combines the losses.
        choose: how validation rows choose the epoch.
        relearn: fits the imputers of absent modalities again before each epoch; None: they stay absent.
    """

    network: ClassifierNetwork

    def __init__(
        self,
        network: ClassifierNetwork,
        active: tuple[str, ...],
        optimization: Optimization,
        augment: Augment,
        balance: Auxiliary,
        choose: Choice,
        relearn: Callable[[], Impute | None] | None = None,
    ) -> None:
        super().__init__(network, optimization)
        self.active = active
        self.augment = augment
        self.balance = balance
        self.seed = augment.config.seed
        self.choose = choose
        self.best = -math.inf  # the best score of all epochs
        self.subsets = subsets([m for m in network.modalities if m in active])
        self.predicted: dict[str, list[int]] = {}  # numbers, since many small tensors would fragment the memory
        self.target: list[int] = []
        self.val_losses = RowMeans()
        self.relearn = relearn
        self.impute: Impute | None = None

    def begin_epoch(self, epoch: int) -> None:
        """Fits the imputers of absent modalities on the current embeddings."""
        if self.relearn:
            self.impute = self.relearn()

    def begin_step(self, epoch: int, step: int) -> None:
        """Seeds the draws by seed, epoch and step alone: a resumed run repeats them, and no two steps have the same."""
        reseed(((self.seed * 1_000_003 + epoch) * 1_000_003 + step) % 2**32)

    def loss(self, batch: Batch) -> Tensor:
        """Batch of decoded files -> scalar loss."""
        features = self.augment(self.network, batch._replace(present=self._present(batch)))
        return self.augment.loss(self.network, features, self.balance, self.impute)

    def after_backward(self) -> None:
        """Lets the balance change the gradients."""
        self.balance.after_backward(self.network)

    def state(self) -> dict[str, Any]:
        """Returns the state of the balance, and the best score."""
        return {"balance": self.balance.state(), "best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        """Restores what `state` returned."""
        self.balance.restore(state["balance"])
        self.best = state["best"]

    def validate(self, batch: Batch) -> None:
        """Collects the predictions of each subset of the modalities."""
        present = self._present(batch)
        features = self.network.featurize(batch)._replace(present=present)
        outputs = self.network.fuse_subsets(features, self.subsets, self.impute)
        self.target += self._target(batch).tolist()
        for subset, output in zip(self.subsets, outputs, strict=True):
            has_all = torch.stack([present[m] for m in subset]).all(0)
            self.predicted.setdefault("+".join(subset), []).extend(
                torch.where(has_all, output.logits.argmax(1), -1).tolist()
            )
        each = losses(self.network.row_loss, outputs[0], present, self._target(batch))
        self.val_losses.add(each, rows_with_loss(outputs[0], present))

    def end_epoch(self, epoch: int) -> dict[str, float]:
        """Computes macro F1 of each subset over the rows that have it, their mean, and the number of the selection.

        Nothing, where no validation rows were collected.
        """
        if not self.target:
            return {}
        target, classes, numbers = np.array(self.target), self.network.classes, {}
        for name, said in self.predicted.items():
            predicted = np.array(said)
            rows = predicted >= 0
            if rows.any():
                numbers[f"{F1}_{name}"] = macro_means(target[rows] * classes + predicted[rows], classes)["macro_f1"]
        f1, val = sum(numbers.values()) / len(numbers), self.val_losses.means()
        val_loss = sum(val.values())
        check_losses([torch.tensor(val_loss)], epoch, self.optimization.peak, "validation")
        score = -val_loss if self.choose is Choice.LOSS else f1 - TIE * val_loss
        self.best = max(self.best, score)
        close = score >= self.best - math.sqrt(f1 * (1 - f1) / len(target))
        choice = (float(epoch) if close else -1.0) if self.choose is Choice.LATE else score
        self.balance.after_epoch(val)
        self.val_losses, self.predicted, self.target = RowMeans(), {}, []
        return {**numbers, F1: f1, "val_loss": val_loss, SCORE: score, CHOICE: choice}

    def _present(self, batch: Batch) -> dict[str, Tensor]:
        return {m: p if m in self.active else torch.zeros_like(p) for m, p in batch.present.items()}

    @staticmethod
    def _target(batch: Batch) -> Tensor:
        if batch.target is None:
            raise ValueError("training needs targets")
        return batch.target
