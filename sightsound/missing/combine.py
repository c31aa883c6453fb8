"""Inserts imputed embeddings where a modality is missing, and weights predictions made with them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from sightsound.types import Imputed


def put_in(imputed: Mapping[str, Imputed], k: int, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns embeddings (B, D) with the k-th imputed sample in place of absent modalities."""
    found = dict(embeddings)
    for m, f in imputed.items():
        found[m] = torch.where(f.rows[:, None], f.values[:, min(k, f.values.shape[1] - 1)], embeddings[m])
    return found


def completed_presence(imputed: Mapping[str, Imputed], present: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns presence (B,), in which imputed modalities count as present."""
    return {m: p | imputed[m].rows if m in imputed else p for m, p in present.items()}


def weigh_by_certainty(plain: Tensor, guesses: list[Tensor], imputed: Mapping[str, Imputed]) -> Tensor:
    """Combines predictions without and with imputation; imputed embeddings are weighted by their certainty.

    An embedding imputed from the other modalities holds no information beyond them; weighted as if it were observed,
    it would count their evidence twice.

    Args:
        plain: logits (B, C) without imputation.
        guesses: logits (B, C) with each imputed sample; their probabilities are averaged.
        imputed: the imputed embeddings.
    """
    rows = torch.stack([f.rows for f in imputed.values()]).any(0)
    doubt = torch.stack([torch.where(f.rows, f.uncertainty.nan_to_num(0), 0) for f in imputed.values()]).amax(0)[
        :, None
    ]
    mean = torch.stack([guess.softmax(1) for guess in guesses]).mean(0)
    both = doubt * plain.softmax(1) + (1 - doubt) * mean
    return torch.where(rows[:, None], both.clamp_min(torch.finfo(both.dtype).tiny).log(), plain)
