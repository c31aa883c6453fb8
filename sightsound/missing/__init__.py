"""Policies for missing modalities and damaged parts: drop the row, ignore, interpolate, impute.

`drop` and `ignore` fit nothing; `linear` and `gaussian` interpolate damaged parts, and whole modalities along time;
those in IMPUTERS impute a whole modality from the others. An `Imputer` class of your own is given as
package.module.Class.
"""

from sightsound.missing.impute import Generate, Impute, Imputer, Imputers, Mean, Nearest, Predict, impute_by
from sightsound.missing.over_time import OverTime

IMPUTERS: dict[str, type[Imputer]] = {"mean": Mean, "nearest": Nearest, "predict": Predict, "generate": Generate}
FEWEST_COMPLETE = 40  # fewest rows with all modalities on which an imputer is fitted

__all__ = ["FEWEST_COMPLETE", "IMPUTERS", "Impute", "Imputer", "Imputers", "OverTime", "impute_by"]
