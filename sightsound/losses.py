"""What training minimises: the fused answer's cross-entropy and that of each modality's own head."""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from sightsound.missing.filled import completed_presence
from sightsound.types import Output

FUSED = "fused"


def losses(
    output: Output, present: dict[str, Tensor], target: Tensor, weight: Tensor | float = 1.0
) -> dict[str, Tensor]:
    """Mean cross-entropies: of the fused logits where there is something to fuse, of each head where it is present.

    What was imputed is fused too; a head learns from what was there.

    Args:
        output: logits and scores (B, C), and what was imputed.
        present: per modality (B,) bool.
        target: (B,) class indices.
        weight: (B,) of each row.

    Returns:
        scalars: "fused", and one by the name of each modality.
    """
    several = torch.stack(list(completed_presence(output.filled, present).values())).sum(0) > 1
    own = {m: _mean_over(present[m], scores, target, weight) for m, scores in output.scores.items()}
    return {FUSED: _mean_over(several, output.logits, target, weight), **own}


def _mean_over(rows: Tensor, logits: Tensor, target: Tensor, weight: Tensor | float) -> Tensor:
    """Mean cross-entropy over the rows that are True; zero if there are none."""
    each = weight * cross_entropy(logits, target, reduction="none")
    return torch.where(rows, each, 0).sum() / rows.sum().clamp_min(1)
