"""Policies for what is missing or damaged: to leave out, to do without, to repair, to fill in.

`drop` and `ignore` need nothing; `linear` and `gaussian` repair damaged parts, and whole modalities along time; those
in IMPUTERS fill in a whole modality from the others. A class of your own is given as package.module.Class, an
`Imputer`.
"""

from sightsound.missing.impute import Generate, Impute, Imputer, Imputers, Mean, Nearest, Predict, impute_by
from sightsound.missing.over_time import OverTime

IMPUTERS: dict[str, type[Imputer]] = {"mean": Mean, "nearest": Nearest, "predict": Predict, "generate": Generate}
FEWEST_COMPLETE = 40  # rows with all modalities, from which something that fills in can be learnt

__all__ = ["FEWEST_COMPLETE", "IMPUTERS", "Impute", "Imputer", "Imputers", "OverTime", "impute_by"]
