"""What was filled in, put where it was missing, and how much an answer made with it counts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightsound.types import Imputed


def put_in(imputed: Mapping[str, Imputed], k: int, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Embeddings (B, D) with the k-th possibility of what stands in for absent modalities."""
    found = dict(embeddings)
    for m, f in imputed.items():
        found[m] = torch.where(f.rows[:, None], f.values[:, min(k, f.values.shape[1] - 1)], embeddings[m])
    return found


def completed_presence(imputed: Mapping[str, Imputed], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Presence (B,) with what was filled in."""
    return {m: p | imputed[m].rows if m in imputed else p for m, p in present.items()}


def weigh_by_certainty(plain: Tensor, guesses: list[Tensor], imputed: Mapping[str, Imputed]) -> Tensor:
    """The answer with what was filled in; the more uncertain that is, the less it counts.

    What was made from the other modalities knows nothing that they do not; believed as if it were seen, it would count
    their evidence twice.

    Args:
        plain: logits (B, C) without it.
        guesses: logits (B, C) with each possibility; their probabilities are averaged.
        imputed: what was filled in.
    """
    rows = torch.stack([f.rows for f in imputed.values()]).any(0)
    doubt = torch.stack([torch.where(f.rows, f.uncertainty.nan_to_num(0), 0) for f in imputed.values()]).amax(0)[
        :, None
    ]
    mean = torch.stack([guess.softmax(1) for guess in guesses]).mean(0)
    both = doubt * plain.softmax(1) + (1 - doubt) * mean
    return torch.where(rows[:, None], both.clamp_min(torch.finfo(both.dtype).tiny).log(), plain)
