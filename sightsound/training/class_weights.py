"""How much a row of each class counts in training: labels of the training rows -> (C,) weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from sightsound.errors import ConfigError, did_you_mean

LEAST, MOST = 0.001, 1000  # beyond which rows of one class are all that counts


def class_weights(asked: str | Mapping[str, float], labels: Sequence[str], target: Tensor) -> Tensor:
    """Returns the weight of each class, such that those of all training rows have the mean 1.

    Args:
        asked: "none", "balanced" (in inverse proportion to the class's rows), or the weight of some classes, relative
            to that of the others.
        labels: class names (C,).
        target: (n,) class indices of the training rows.

    Raises:
        ConfigError: a class that is not there, or a weight out of bounds.
    """
    if asked == "none":
        return torch.ones(len(labels))
    counts = torch.bincount(target, minlength=len(labels)).double()
    if isinstance(asked, str):
        weights = 1 / counts.clamp_min(1)
    else:
        for label, weight in asked.items():
            if label not in labels:
                raise ConfigError(f"class_weights has {label!r}, which is no class. {did_you_mean(label, labels)}")
            if not LEAST <= weight <= MOST:
                raise ConfigError(f"class_weights: {label!r} is {weight}; a weight is from {LEAST} to {MOST:,}.")
        weights = torch.tensor([asked.get(label, 1.0) for label in labels], dtype=torch.double)
    return (weights * counts.sum() / (weights * counts).sum()).float()
