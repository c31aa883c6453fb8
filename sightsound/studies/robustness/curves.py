"""Accuracy as a curve over the level of a condition, and two numbers that summarise each curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from sightsound.studies.robustness.conditions import CLEAN, CONTRADICTION
from sightsound.studies.robustness.measure import Measurement


class RobustnessCurve(NamedTuple):
    """The accuracy under one kind of condition at rising levels.

    Relative and effective robustness are those of MultiBench (Liang et al., 2021), as means over the levels.

    Attributes:
        kind, modality, policy: those of the condition.
        levels, accuracy, unimodal: from clean on; `unimodal` is None where no unimodal prediction was measured.
        relative: mean accuracy over the levels, the area under the curve.
        effective: how much less accuracy is lost than by late fusion of the same modalities: the area between both
            curves, that of late fusion shifted to begin at the same accuracy.
    """

    kind: str
    modality: str
    policy: str
    levels: list[float]
    accuracy: list[float]
    unimodal: list[float] | None
    relative: float
    effective: float


def curves(found: Sequence[Measurement], clean_unimodal: Mapping[str, float]) -> list[RobustnessCurve]:
    """Builds the curves of all conditions but clean and contradiction, in the order measured.

    Args:
        found: the measurements of every condition.
        clean_unimodal: the unimodal accuracy of each modality on unchanged rows.
    """
    frame = pd.DataFrame([{**one.condition._asdict(), **one._asdict()} for one in found])
    [(start, late_start)] = frame.loc[frame["kind"] == CLEAN, ["accuracy", "late"]].to_numpy()
    result = []
    for (kind, modality, policy), part in frame.groupby(["kind", "modality", "policy"], sort=False):
        if kind in (CLEAN, CONTRADICTION):
            continue
        accuracy = [start, *part["accuracy"]]
        late = [late_start, *part["late"]]
        has_unimodal = modality in clean_unimodal and part["unimodal"].notna().all()
        alone = [clean_unimodal[str(modality)], *part["unimodal"]] if has_unimodal else None
        levels = [0.0, *part["level"]]
        relative = _mean(accuracy, levels)
        effective = relative - (_mean(late, levels) + start - late_start)
        result.append(
            RobustnessCurve(str(kind), str(modality), str(policy), levels, accuracy, alone, relative, effective)
        )
    return result


def _mean(values: Sequence[float], levels: Sequence[float]) -> float:
    """Computes the mean over the levels: the area under the curve divided by its width."""
    return float(np.trapezoid(values, levels) / levels[-1])
