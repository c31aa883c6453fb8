"""From probabilities to a class: the most probable one, unless rare classes are favoured or have thresholds.

Probabilities stay as they are: those of the classes at the frequencies of the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
SMALLEST = 1e-12  # a threshold of nothing would be reached by all classes


@dataclass(frozen=True)
class Decision:
    """How a class is chosen.

    Attributes:
        factors: (C,) by which probabilities are multiplied before they are compared; None: they are not.
        thresholds: by subset of the modalities (C,), the probability from which a class is chosen; NaN for none.
    """

    factors: Floats | None = None
    thresholds: dict[tuple[str, ...], Floats] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether anything but the most probable class may be chosen."""
        return self.factors is not None or bool(self.thresholds)

    def choose(self, probabilities: Floats, subset: tuple[str, ...]) -> NDArray[np.int64]:
        """Chooses a class (n,) for probabilities (n, C) of rows that have a subset of the modalities."""
        return decide(probabilities, self.thresholds.get(subset), self.factors)

    def choose_by_row(self, probabilities: Floats, has: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.int64]:
        """Chooses a class (n,) for probabilities (n, C) of rows that have modalities by `has`, (n,) each."""
        thresholds = np.full(probabilities.shape, np.nan)
        for subset, values in self.thresholds.items():
            thresholds[np.logical_and.reduce([has[m] if m in subset else ~has[m] for m in has])] = values
        return decide(probabilities, thresholds, self.factors)

    def answered_below(self, bound: float, labels: Sequence[str]) -> list[str]:
        """Lists the classes with a threshold below a probability, such as one below which answers are withheld."""
        lowest = np.nanmin([np.full(len(labels), np.inf), *self.thresholds.values()], axis=0)
        return [label for label, threshold in zip(labels, lowest, strict=True) if threshold < bound]

    def named(self, labels: Sequence[str]) -> dict[str, Any]:
        """Returns it by names, such as {"thresholds": {"image+audio": {"defect": 0.2}}, "factors": {}}."""
        thresholds = {"+".join(subset): _known(values, labels) for subset, values in self.thresholds.items()}
        return {"factors": {} if self.factors is None else _known(self.factors, labels), "thresholds": thresholds}


def from_names(given: Mapping[str, Any], labels: Sequence[str]) -> Decision:
    """The inverse of `Decision.named`."""

    def values(of: Mapping[str, float]) -> Floats:
        return np.array([of.get(label, np.nan) for label in labels], float)

    thresholds = {tuple(subset.split("+")): values(of) for subset, of in given.get("thresholds", {}).items()}
    return Decision(values(given["factors"]) if given.get("factors") else None, thresholds)


def _known(values: Floats, labels: Sequence[str]) -> dict[str, float]:
    return {label: float(value) for label, value in zip(labels, values, strict=True) if not np.isnan(value)}


def decide(probabilities: Floats, thresholds: Floats | None = None, factors: Floats | None = None) -> NDArray[np.int64]:
    """Chooses a class for each row.

    A class with a threshold is chosen where its probability reaches it, and nowhere else; of several the one that
    exceeds its threshold by the largest factor. Elsewhere it is the class without a threshold whose probability times
    its factor is the largest. If all have one and none is reached, it is the class that comes closest.

    Args:
        probabilities: (n, C).
        thresholds: (C,), or (n, C) where they differ by row; NaN for a class without one; None: there are none.
        factors: (C,); None: all are 1.

    Returns:
        (n,) class indices.
    """
    worth = probabilities if factors is None else probabilities * factors
    chosen: NDArray[np.int64] = worth.argmax(axis=1)
    if thresholds is None or np.isnan(thresholds).all():
        return chosen
    has = np.broadcast_to(~np.isnan(thresholds), probabilities.shape)
    share = np.where(has, probabilities / np.maximum(np.nan_to_num(thresholds, nan=1.0), SMALLEST), -1.0)
    reached = (share.max(axis=1) >= 1) | has.all(axis=1)
    chosen = np.where(reached, share.argmax(axis=1), np.where(has, -1.0, worth).argmax(axis=1))
    return chosen


def for_recall(probability: Floats, true: NDArray[np.bool_], recall: float) -> float | None:
    """Returns the highest threshold that keeps a share of the rows of a class; None if it has no rows.

    Args:
        probability: (n,) of the class.
        true: (n,) whether the row is of the class.
        recall: the share that is wanted, above 0.
    """
    own = np.sort(probability[true])[::-1]
    return _below(probability, own[int(np.ceil(recall * len(own) - 1e-9)) - 1]) if len(own) else None


def for_precision(probability: Floats, true: NDArray[np.bool_], precision: float) -> float | None:
    """Returns the lowest threshold of which a share of the rows above it are of the class; None if there is none.

    The arguments are those of `for_recall`.
    """
    order = np.argsort(-probability, kind="stable")
    right, sorted_ = np.cumsum(true[order]), probability[order]
    last_of_tie = np.append(sorted_[:-1] > sorted_[1:], True)
    enough = (right / np.arange(1, len(order) + 1) >= precision - 1e-9) & (right > 0) & last_of_tie
    return _below(probability, sorted_[np.flatnonzero(enough)[-1]]) if enough.any() else None


def _below(values: Floats, value: float) -> float:
    """Returns the middle between a value and the next lower one, so that a last digit decides nothing."""
    lower = values[values < value]
    return float((value + (lower.max() if len(lower) else 0.0)) / 2)
