"""How sure is the answer? One temperature, found on rows that the encoders have not trained on.

It is the one that makes the probabilities of the true classes largest (Guo et al., ICML 2017). It does not change what
a row or a clip is taken for, only how surely; that counts where scores are fused, or answers to clips are averaged.
"""

from __future__ import annotations

import math

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

FEWEST_ROWS = 20  # of a subset; with fewer its temperature stays 1
LOWEST, HIGHEST = 0.2, 100.0  # so high that a head which has only memorised its training rows says nothing


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """Of logits (n, C) about classes (n,); smoothed as if one row more had any class (Platt, 1999).

    Else a few rows without a mistake would make every answer certain.
    """
    logits, smoothing = logits.double(), 1 / (len(target) + 1)

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(logits / math.exp(log_temperature), target, label_smoothing=smoothing))

    found = minimize_scalar(loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded")
    return math.exp(found.x)
