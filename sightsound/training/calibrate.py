"""Temperature scaling, fitted on rows that the encoders have not been trained on (Guo et al., ICML 2017).

The temperature maximises the likelihood of the true classes. It changes no predicted class, only its probability, which
matters where logits are fused or the answers to clips are averaged.
"""

from __future__ import annotations

import math

from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn.functional import cross_entropy

FEWEST_ROWS = 20  # rows of a subset of several modalities; with fewer nothing of the fused prediction is fitted
FEWEST_UNIMODAL_ROWS = 5  # with fewer, the temperature of a modality stays 1
LOWEST, HIGHEST = 0.2, 100.0  # so high that a head which has only memorised its training rows becomes uniform


def best_temperature(logits: Tensor, target: Tensor) -> float:
    """Fits the temperature of logits (n, C) to classes (n,), smoothed by one more row of uniform class (Platt, 1999).

    Without smoothing, a few rows without a mistake would make every answer certain.
    """
    logits, smoothing = logits.double(), 1 / (len(target) + 1)

    def loss(log_temperature: float) -> float:
        return float(cross_entropy(logits / math.exp(log_temperature), target, label_smoothing=smoothing))

    found = minimize_scalar(loss, bounds=(math.log(LOWEST), math.log(HIGHEST)), method="bounded")
    return math.exp(found.x)
