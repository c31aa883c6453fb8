"""Fusion strategies by family and name. A dotted path to your own class works in place of a name."""

from sightsound.fusion.base import Fusion
from sightsound.fusion.decision import (
    Confidence,
    Evidential,
    Majority,
    MaxDecision,
    Product,
    Stacking,
    Vote,
    Weighted,
)
from sightsound.fusion.feature import (
    Attention,
    Average,
    Bilinear,
    Concat,
    Embrace,
    Film,
    Gated,
    Interaction,
    Max,
    Sum,
    TensorFusion,
    Transformer,
)
from sightsound.fusion.hierarchical import Bottleneck, Central, CrossAttention, Mmtm
from sightsound.fusion.search import Search
from sightsound.registry import resolve

__all__ = ["AUTO", "DECISION", "FEATURE", "HIERARCHICAL", "STRATEGIES", "Fusion", "strategy_name", "strategy_of"]

AUTO = "auto"  # the strategy is left open: the number of training rows decides (training/fusion_choice.py)

FEATURE: dict[str, type[Fusion]] = {
    "concat": Concat,
    "average": Average,
    "sum": Sum,
    "max": Max,
    "gated": Gated,
    "attention": Attention,
    "film": Film,
    "bilinear": Bilinear,
    "tensor": TensorFusion,
    "interaction": Interaction,
    "embrace": Embrace,
    "transformer": Transformer,
}
DECISION: dict[str, type[Fusion]] = {
    "vote": Vote,
    "weighted": Weighted,
    "product": Product,
    "max-decision": MaxDecision,
    "majority": Majority,
    "stacking": Stacking,
    "confidence": Confidence,
    "evidential": Evidential,
}
HIERARCHICAL: dict[str, type[Fusion]] = {
    "mmtm": Mmtm,
    "central": Central,
    "bottleneck": Bottleneck,
    "cross-attention": CrossAttention,
    "search": Search,
}
STRATEGIES: dict[str, type[Fusion]] = {**FEATURE, **DECISION, **HIERARCHICAL}


def strategy_name(strategy: str) -> str:
    """Returns the name of a strategy; where it is left open, that of the one for many rows."""
    return "concat" if strategy == AUTO else strategy


def strategy_of(name: str, trust: bool = True) -> type[Fusion]:
    """Returns the strategy of a name or dotted path. Raises ConfigError, TrustError as `registry.resolve` does."""
    return resolve("fusion strategy", strategy_name(name), STRATEGIES, Fusion, trust)
