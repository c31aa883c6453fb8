"""What training minimises: the fused answer's cross-entropy plus that of each modality's own head."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sightsound.types import Output


def classification_loss(
    output: Output, present: dict[str, Tensor], target: Tensor, weight: Tensor | float = 1.0
) -> Tensor:
    """Mean cross-entropy of the fused logits where there is something to fuse, plus each head's where it is present.

    The heads are trained along so that no sense starves the other (Peng et al., 2022, name the problem) and so that a
    row with one sense is answered as well as by a model of that sense alone.

    Args:
        output: logits and scores (B, C).
        present: per modality (B,) bool.
        target: (B,) class indices.
        weight: (B,) of each row.

    Returns:
        a scalar.
    """
    several = torch.stack(list(present.values())).sum(0) > 1
    loss = _mean_over(several, output.logits, target, weight)
    for modality, scores in output.scores.items():
        loss = loss + _mean_over(present[modality], scores, target, weight)
    return loss


def _mean_over(rows: Tensor, logits: Tensor, target: Tensor, weight: Tensor | float) -> Tensor:
    """Mean cross-entropy over the rows that are True; zero if there are none."""
    losses = weight * cross_entropy(logits, target, reduction="none")
    return torch.where(rows, losses, 0).sum() / rows.sum().clamp_min(1)
