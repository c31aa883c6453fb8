"""Gradient blending: weights a loss by how well its modality still generalises."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sightsound.network.classifier import ClassifierNetwork
from sightsound.network.losses import RowMeans
from sightsound.training.balances.base import Auxiliary


class GradientBlend(Auxiliary):
    """Weights losses by the last epoch's gain on validation rows over the square of its overfitting.

    Online gradient blending (Wang, Tran & Feiszli, CVPR 2020), with an epoch as its super-epoch.

    Deviations from the paper: gain and overfitting are those of the joint training's own losses, where the paper
    trains a copy of each modality's network, and of the fused one, for every super-epoch. Gains are at least 1e-4 and
    overfitting at least 0.01, half of the weights is even, and they sum to the number of losses and not to 1.
    """

    def __init__(self, network: ClassifierNetwork) -> None:
        super().__init__(network)
        self.train = RowMeans()
        self.before: dict[str, dict[str, float]] | None = None

    def after_losses(self, each: dict[str, Tensor], rows: dict[str, Tensor], weight: Tensor | float) -> None:
        """Adds them to the epoch's means."""
        self.train.add(each, rows, weight)

    def after_epoch(self, val: Mapping[str, float]) -> None:
        """Sets the weights of the next epoch; they sum to the number of losses."""
        train = self.train.means()
        gap = {name: val[name] - train[name] for name in val}
        if self.before is not None:
            gain = {name: max(self.before["val"][name] - val[name], 1e-4) for name in val}
            overfit = {name: max(gap[name] - self.before["gap"][name], 1e-2) for name in val}
            ratio = {name: gain[name] / overfit[name] ** 2 for name in val}
            total = sum(ratio.values())
            # half of the weights is even, so that a loss without gain in one epoch keeps some weight
            self.weights = {name: 0.5 + 0.5 * len(ratio) * value / total for name, value in ratio.items()}
        self.before, self.train = {"val": dict(val), "gap": gap}, RowMeans()

    def state(self) -> dict[str, object]:
        """Returns the weights and the last losses."""
        return {"weights": self.weights, "before": self.before}
