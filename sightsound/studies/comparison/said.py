"""What was said of the validation rows by one training of a comparison, and the file that keeps it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sightsound.inference.subsets import Answered
from sightsound.training.held_out import CrossFitted


def replace_cross_fitted(answered: Answered, crossed: CrossFitted) -> Answered:
    """With what is said of complete rows by what was fitted on others: by it a strategy is chosen."""
    every = max(answered.probabilities, key=len)
    probabilities = answered.probabilities[every].copy()
    probabilities[np.searchsorted(answered.row, crossed.row)] = crossed.probabilities
    return answered._replace(probabilities={**answered.probabilities, every: probabilities})


def write_answers(path: Path, answered: Answered) -> None:
    """Beside its place, then there at once."""
    arrays: dict[str, Any] = {"row": answered.row}
    arrays |= {f"p {'+'.join(subset)}": values for subset, values in answered.probabilities.items()}
    arrays |= {f"has {m}": values for m, values in answered.has.items()}
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.replace(path)


def read_answers(path: Path) -> Answered:
    """The inverse of `write`."""
    with np.load(path) as arrays:
        return Answered(
            arrays["row"],
            {tuple(name[2:].split("+")): arrays[name] for name in arrays if name.startswith("p ")},
            {name[4:]: arrays[name] for name in arrays if name.startswith("has ")},
        )
