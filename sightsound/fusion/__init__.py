"""Fusion strategies by family and name. A dotted path to your own class works in place of a name."""

from sightsound.fusion.base import Fusion
from sightsound.fusion.decision import Vote
from sightsound.fusion.feature import Average, Concat
from sightsound.fusion.hierarchical import Mmtm

__all__ = ["DECISION", "FEATURE", "HIERARCHICAL", "STRATEGIES", "Fusion"]

FEATURE: dict[str, type[Fusion]] = {"concat": Concat, "average": Average}
DECISION: dict[str, type[Fusion]] = {"vote": Vote}
HIERARCHICAL: dict[str, type[Fusion]] = {"mmtm": Mmtm}
STRATEGIES: dict[str, type[Fusion]] = {**FEATURE, **DECISION, **HIERARCHICAL}
