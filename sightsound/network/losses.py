"""The losses of training: the cross-entropy of the fused answer and of each modality's head."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sightsound.missing.combine import completed_presence
from sightsound.types import Output

FUSED = "fused"


class RowLoss(nn.Module):
    """The cross-entropy of each row, weighted by its class: logits (B, C), target (B,) -> (B,).

    A network trained on weighted rows would answer as if the classes were as frequent as their weights make them. The
    logarithms of the weights are therefore added to the logits in the loss alone, as in the logit-adjusted loss of
    Menon et al. (Long-tail learning via logit adjustment, ICLR 2021), so that softmax of the logits themselves is the
    probability of each class at the frequencies of the training rows.

    Args:
        classes: C.
    """

    weight: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(classes), persistent=False)  # which answering does not need

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """See the class."""
        return self.weight[target] * cross_entropy(logits + self.weight.log(), target, reduction="none")


def losses(
    row_loss: RowLoss, output: Output, present: dict[str, Tensor], target: Tensor, weight: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """Mean cross-entropies: of the fused logits where several modalities are fused, of each head where it is present.

    Imputed modalities are fused too; a head is trained on present modalities only.

    Args:
        row_loss: the loss of each row.
        output: fused and unimodal logits (B, C), and what was imputed.
        present: per modality (B,) bool.
        target: (B,) class indices.
        weight: (B,) weight of each row.

    Returns:
        scalars: "fused", and one by the name of each modality.
    """
    logits = {FUSED: output.logits, **output.unimodal_logits}
    each = {name: weight * row_loss(of_name, target) for name, of_name in logits.items()}
    return {n: _mean_over(rows, each[n]) for n, rows in rows_with_loss(output, present).items()}


def rows_with_loss(output: Output, present: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns for each loss, by its name, the rows (B,) bool that it is the mean over."""
    several = torch.stack(list(completed_presence(output.imputed, present).values())).sum(0) > 1
    return {FUSED: several, **{m: present[m] for m in output.unimodal_logits}}


class RowMeans:
    """Means of losses over all rows of many batches: a row counts the same in a small batch as in a large one."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, Tensor] = {}

    def add(self, each: dict[str, Tensor], rows: dict[str, Tensor], weight: Tensor | float = 1.0) -> None:
        """Adds a batch's losses by name, scalars; each is the mean over `rows` (B,) bool, weighted by `weight` (B,).

        A row that was blended from two comes twice, with weights whose sum is 1: it counts once.
        """
        for name, loss in each.items():
            there = rows[name]
            self.sums[name] = self.sums.get(name, 0) + loss.detach() * there.sum()
            self.counts[name] = self.counts.get(name, 0) + torch.where(there, weight, 0.0).sum()

    def means(self) -> dict[str, float]:
        """Returns the means by name, over the rows so far; zero if there were none."""
        return {n: float(total / self.counts[n]) if self.counts[n] else 0.0 for n, total in self.sums.items()}


def _mean_over(rows: Tensor, each: Tensor) -> Tensor:
    """Computes the mean over the rows that are True; zero if there are none."""
    return torch.where(rows, each, 0).sum() / rows.sum().clamp_min(1)
