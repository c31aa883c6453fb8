"""The validation predictions of one training of a comparison, and the file that stores them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsound.inference.subsets import Answered
from sightsound.training.prepare import Prepared


def write_answers(path: Path, answered: Answered) -> None:
    """Writes predictions beside their place, then renames the file."""
    arrays: dict[str, Any] = {"row": answered.row}
    arrays |= {f"p {'+'.join(subset)}": values for subset, values in answered.probabilities.items()}
    arrays |= {f"has {m}": values for m, values in answered.has.items()}
    partial = path.with_suffix(".partial.npz")
    np.savez(partial, **arrays)
    partial.replace(path)


def read_answers(path: Path) -> Answered:
    """Reads what `write_answers` wrote."""
    with np.load(path) as arrays:
        return Answered(
            arrays["row"],
            {tuple(name[2:].split("+")): arrays[name] for name in arrays if name.startswith("p ")},
            {name[4:]: arrays[name] for name in arrays if name.startswith("has ")},
        )


def targets(prepared: Prepared, split: str, answered: Answered) -> NDArray[np.int64]:
    """Returns (n,) class indices of the predicted rows of a split."""
    by_row = prepared.table.part(split).frame.drop_duplicates("row").set_index("row")["label"]
    result: NDArray[np.int64] = np.searchsorted(prepared.labels, by_row.loc[answered.row.tolist()].to_numpy(dtype=str))
    return result
